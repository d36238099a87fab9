/** What is counted, and where counts are kept between processes. */

/** What happened, in numbers that only grow. */
export interface Counters {
  hits: number;
  misses: number;
  sets: number;
  deletes: number;
  evictions: number;
  expired: number;
  /** Failures that counted as misses. */
  errors: number;
}

/**
 * Keeps counters for all processes and over restarts. A store offers one as its property `statistics`; without
 * it counters are those of this process since it opened the cache.
 */
export interface CounterKeeper {
  /** The sums of all processes so far. */
  read(namespace: string): Readonly<Counters>;
  /** Adds what this process counted since it last did. Losing a call in a crash costs only counts. */
  add(namespace: string, counts: Readonly<Counters>): void;
}
