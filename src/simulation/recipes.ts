/** What a simulation needs every time, as recipes for `cache.warm`. */

import type { Recipe, RecipeParameters } from "../cache/warm.ts";
import { checkChoice } from "./arguments.ts";
import type { SimulationCategory } from "./categories.ts";
import { chirp } from "./echoes.ts";
import { grunwaldLetnikov } from "./kernels.ts";
import { laplacianOperator } from "./operators.ts";
import { packProfile } from "./profiles.ts";
import { type SourceDType, type SourceProfile, sourceMap } from "./sources.ts";
import { type Dimensions, laplacianStencil, type StencilOrder } from "./stencils.ts";
import { WaveEquation } from "./wave.ts";

/** Sizes of the arrays that recipes make. */
interface Sizes {
  readonly kernel: readonly number[];
  readonly plane: number;
  readonly volume: readonly number[];
  readonly source: number;
  readonly chirp: readonly number[];
  readonly wave: number;
  readonly waveSteps: number;
}

const SIZES: Readonly<Record<"small" | "full", Sizes>> = {
  small: { kernel: [1_000], plane: 16, volume: [8], source: 16, chirp: [1_024], wave: 32, waveSteps: 50 },
  full: {
    kernel: [10_000, 1_000_000],
    plane: 512,
    volume: [64, 96],
    source: 256,
    chirp: [4_096, 65_536],
    wave: 512,
    waveSteps: 1_000,
  },
};

const ORDERS: readonly StencilOrder[] = [2, 4, 6];

/** Lengths in units of the box that the map shows. */
const SOURCES = {
  gaussian: { kind: "gaussian", width: 0.1 },
  shell: { kind: "shell", radius: 0.3, width: 0.02 },
  plummer: { kind: "plummer", scale: 0.05 },
} as const satisfies Readonly<Record<string, SourceProfile>>;

/**
 * Kernels, stencils, operators, source maps, chirps and the state of a simulation under way, each made by the
 * function that is exported for it. "small" takes milliseconds, for a try; "full" computes for some ten seconds and
 * writes 1.1 GB. A computation blocks its thread, the largest for two to three seconds: warm in a process or
 * worker that has nothing else to answer to.
 */
export function simulationRecipes(scale: "small" | "full"): readonly Recipe[] {
  checkChoice("scale", scale, ["small", "full"]);
  const sizes = SIZES[scale];
  const operators = (dimensions: Dimensions, n: number, orders: readonly StencilOrder[]): Recipe =>
    recipe("stencils", `laplacian_operator_${dimensions}d_{n}_order{order}`, { n, order: orders }, (given) =>
      laplacianOperator(dimensions, given.n, given.order as StencilOrder, 1 / (given.n + 1)),
    );
  return [
    recipe(
      "fractional_kernels",
      "kernel_{alpha}_{h}_{n}",
      { alpha: [-0.5, 0.25, 0.5, 0.75, 1.5, 1.75], h: [0.01, 0.001], n: sizes.kernel },
      ({ alpha, h, n }) => grunwaldLetnikov(alpha, h, n),
    ),
    recipe(
      "stencils",
      "laplacian_{dimensions}d_order{order}",
      { dimensions: [2, 3], order: ORDERS },
      ({ dimensions, order }) => laplacianStencil(dimensions as Dimensions, order as StencilOrder),
    ),
    operators(2, sizes.plane, ORDERS),
    ...sizes.volume.map((n, index) => operators(3, n, index === 0 ? ORDERS : [6])),
    {
      namespace: "source_maps" satisfies SimulationCategory,
      key: "source_{profile}_3d_{n}_{dtype}",
      parameters: { profile: Object.keys(SOURCES), n: sizes.source, dtype: ["float32", "float64"] },
      compute: ({ profile, n, dtype }) =>
        sourceMap(SOURCES[profile as keyof typeof SOURCES], {
          dimensions: 3,
          n: Number(n),
          dtype: dtype as SourceDType,
        }),
    },
    recipe(
      "echo_templates",
      "chirp_{from}_{to}_{samples}",
      { from: [1_000, 2_000], to: [8_000, 16_000], samples: sizes.chirp },
      ({ from, to, samples }) =>
        chirp({ samples, sampleRate: 48_000, startFrequency: from, endFrequency: to }),
    ),
    recipe(
      "state_profiles",
      "wave_{n}_step{steps}",
      { n: sizes.wave, steps: sizes.waveSteps },
      ({ n, steps }) => {
        const wave = new WaveEquation({ n });
        wave.run(steps);
        return packProfile(wave.state());
      },
    ),
  ];
}

/** A recipe whose parameters are all numbers. */
function recipe<Name extends string>(
  namespace: SimulationCategory,
  key: string,
  parameters: Readonly<Record<Name, number | readonly number[]>>,
  compute: (parameters: Readonly<Record<Name, number>>) => unknown,
): Recipe {
  return {
    namespace,
    key,
    parameters,
    compute: (given: RecipeParameters) => compute(given as Readonly<Record<Name, number>>),
  };
}
