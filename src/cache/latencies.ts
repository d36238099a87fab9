/** How long operations take that leave this process's memory. */

import { tell } from "../shared/events.ts";
import { Histogram, type LatencySummary } from "../shared/histogram.ts";
import type { Logger } from "../shared/logger.ts";

/**
 * What is timed: reads that memory did not answer, stores of values, removals, and the functions of getOrCompute.
 * Hits in memory are not: looking at the clock would cost more than they do.
 */
export const OPERATIONS = ["read", "write", "delete", "compute"] as const;
/** What is timed: see `Metrics.latencies`. */
export type Operation = (typeof OPERATIONS)[number];

/** Is told how long an operation took, in microseconds. */
export type LatencyListener = (namespace: string, operation: Operation, microseconds: number) => void;

/** Reads that are timed: one in so many. Looking at the clock twice shows beside a read of a microsecond. */
const READS_PER_TIMING = 16;

/** The histograms of one namespace. */
export class NamespaceLatencies {
  readonly #histograms: Readonly<Record<Operation, Histogram>> = {
    read: new Histogram(),
    write: new Histogram(),
    delete: new Histogram(),
    compute: new Histogram(),
  };
  readonly #tell: (operation: Operation, microseconds: number) => void;
  #reads = 0;

  constructor(tell: (operation: Operation, microseconds: number) => void) {
    this.#tell = tell;
  }

  /** When the read began that is about to be made; undefined for one that is not timed. Pass it to `end`. */
  beginRead(): number | undefined {
    return this.#reads++ % READS_PER_TIMING === 0 ? performance.now() : undefined;
  }

  /** Counts what began at `started`, a time of `performance.now()`: one operation, or several that ended together. */
  end(operation: Operation, started: number | undefined, count = 1): void {
    if (started === undefined) return;
    const microseconds = (performance.now() - started) * 1000;
    for (let left = count; left > 0; left--) {
      this.#histograms[operation].record(microseconds);
      this.#tell(operation, microseconds);
    }
  }

  summaries(): Readonly<Record<Operation, LatencySummary>> {
    const { read, write, delete: removal, compute } = this.#histograms;
    return {
      read: read.summary(),
      write: write.summary(),
      delete: removal.summary(),
      compute: compute.summary(),
    };
  }
}

/** The histograms of this process since it opened the cache, one an operation and namespace. */
export class Latencies {
  readonly #namespaces = new Map<string, NamespaceLatencies>();
  readonly #listeners = new Set<LatencyListener>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  of(namespace: string): NamespaceLatencies {
    let latencies = this.#namespaces.get(namespace);
    if (latencies === undefined) {
      latencies = new NamespaceLatencies((operation, microseconds) => {
        for (const listener of this.#listeners) {
          tell(this.#logger, "latency", () => listener(namespace, operation, microseconds));
        }
      });
      this.#namespaces.set(namespace, latencies);
    }
    return latencies;
  }

  /** Calls `listener` for each duration; the returned function removes it. */
  on(listener: LatencyListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
