/** A cache in numbers, cheap enough to be asked for every few seconds. */

import { statfs } from "node:fs/promises";
import type { LatencySummary } from "../shared/histogram.ts";
import type { Counters } from "../stores/counters.ts";
import type { StoreNamespace } from "../stores/store.ts";
import type { Latencies, Operation } from "./latencies.ts";
import { hitRate, type Observations, type Tally } from "./statistics.ts";

/** Counters are of all processes and survive restarts where the store does; latencies are this process's own. */
export interface NamespaceMetrics extends Readonly<Counters> {
  readonly entries: number;
  /** Sum of value sizes. */
  readonly bytes: number;
  /** Allocated bytes, what limits count. */
  readonly allocated: number;
  /** hits / (hits + misses); 0 before the first look-up. */
  readonly hitRate: number;
  /** `allocated` as a share of the namespace's own limit; null without one. */
  readonly limitShare: number | null;
  /** Where the namespace is only observed: how often the cache had what was computed. This process's own. */
  readonly observed: Observations;
  /** Microseconds. Reads that memory answers are not timed, and of the others every sixteenth is. */
  readonly latencies: Readonly<Record<Operation, LatencySummary>>;
}

/** A cache in numbers. Counters are of all processes where the store keeps them, latencies and failures of this one. */
export interface Metrics {
  /** When this was taken, wall-clock milliseconds. */
  readonly at: number;
  readonly path: string | undefined;
  readonly namespaces: Readonly<Record<string, NamespaceMetrics>>;
  /** `allocated` of all namespaces as a share of the cache's limit; null without one. */
  readonly limitShare: number | null;
  /** Failures that counted as misses by kind, those of this process. Kinds are codes of QuiverError, or "error". */
  readonly errors: Readonly<Record<string, number>>;
  /** Bytes of decoded values held in memory. */
  readonly held: number;
  /** The file system of the cache's directory in bytes; undefined without one. */
  readonly volume: { readonly size: number; readonly free: number } | undefined;
}

/** What metrics are taken from. */
export interface MetricsSource {
  readonly path: string | undefined;
  readonly maxSize: number | null;
  readonly namespaces: readonly StoreNamespace[];
  readonly allocated: number;
  readonly tally: Tally;
  readonly latencies: Latencies;
  readonly held: number;
  readonly at: number;
}

/** Asks no store for more than its totals; one system call for the volume. */
export async function takeMetrics(source: MetricsSource): Promise<Metrics> {
  const { path, tally, latencies } = source;
  const namespaces = source.namespaces.map((store): [string, NamespaceMetrics] => {
    const counters = tally.read(store.name);
    const usage = store.usage();
    const limitShare = shareOf(usage.allocated, store.settings.maxSize);
    return [
      store.name,
      {
        ...usage,
        ...counters,
        hitRate: hitRate(counters),
        limitShare,
        observed: tally.observed(store.name),
        latencies: latencies.of(store.name).summaries(),
      },
    ];
  });
  return {
    at: source.at,
    path,
    namespaces: Object.fromEntries(namespaces),
    limitShare: shareOf(source.allocated, source.maxSize),
    errors: tally.errorsByKind(),
    held: source.held,
    volume: path === undefined ? undefined : await volumeOf(path),
  };
}

function shareOf(allocated: number, limit: number | null): number | null {
  return limit === null || limit === 0 ? null : allocated / limit;
}

/** undefined when the directory has vanished. */
async function volumeOf(path: string): Promise<Metrics["volume"]> {
  try {
    const { bsize, blocks, bavail } = await statfs(path);
    return { size: bsize * blocks, free: bsize * bavail };
  } catch {
    return undefined;
  }
}
