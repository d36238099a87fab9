/** The ready-made configuration for simulation codes: eight categories, in files that Python and C++ share. */

import { Cache } from "../cache/cache.ts";
import type { CacheOptions, NamespaceOptions } from "../cache/options.ts";

/** Name of a predefined namespace. */
export type SimulationCategory =
  | "fractional_kernels"
  | "stencils"
  | "fftw_wisdom"
  | "echo_templates"
  | "state_profiles"
  | "source_maps"
  | "mission_graph"
  | "surrogates";

/** One file an entry, named by its key, beside an index.json. */
const SHARED_FILES = { layout: "named", files: "always", index: true } as const;

/**
 * The predefined namespaces with their options. Arrays go to npz: from 64 KiB on stored as they are and aligned, so
 * that they are mapped and not read, smaller ones deflated. Where no codec is named, the value decides.
 */
export const simulationCategories: Readonly<Record<SimulationCategory, NamespaceOptions>> = {
  /** Coefficients of fractional derivatives, one-dimensional float64. */
  fractional_kernels: { ...SHARED_FILES, codec: "npz" },
  /** Finite-difference stencils, and operators assembled from them. */
  stencils: { ...SHARED_FILES, codec: "npz" },
  /** Plans of FFTW, the bytes that its export functions write. */
  fftw_wisdom: { ...SHARED_FILES, codec: "bin" },
  /** Signal templates. */
  echo_templates: { ...SHARED_FILES, codec: "npz" },
  /** Snapshots of running simulations: named arrays, or a JSON value. */
  state_profiles: SHARED_FILES,
  /** Distributions of sources on grids. */
  source_maps: { ...SHARED_FILES, codec: "npz" },
  /** Results of the nodes of a task graph. */
  mission_graph: { ...SHARED_FILES, codec: "json" },
  /** Trained models: state dicts and checkpoints of PyTorch. */
  surrogates: { ...SHARED_FILES, codec: "pt" },
};

/**
 * `Cache.open` with the eight categories: each a folder `<root>/<category>` with files `<key>.<ext>` and an
 * index.json. Options are those of `Cache.open`; `namespaces` adds categories, and options to the predefined ones.
 *
 * Who knows such caches by other names finds them all in the namespaces, `cache.namespace("stencils")`: save is
 * `set`, load `get`, exists `has`, delete `delete`, listKeys `keys({ prefix })`, getSize `info(key)` with `size`,
 * getStats `stats()` of the namespace or of the cache, clearCategory and clearAll `clear()` of the one or the other.
 */
export function simulationCache(root: string, options: CacheOptions = {}): Promise<Cache> {
  const namespaces: Record<string, NamespaceOptions> = { ...simulationCategories };
  for (const [name, own] of Object.entries(options.namespaces ?? {})) {
    namespaces[name] = { ...namespaces[name], ...own };
  }
  return Cache.open(root, { ...options, namespaces });
}
