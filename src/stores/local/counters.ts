/** Counters that survive restarts and add up over all processes, kept in the catalog. */

import { type NativeStore, translated } from "../../native/store.ts";

/** What happened in a namespace, in numbers that only grow. */
export interface CounterSums {
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  readonly evictions: number;
  readonly expired: number;
  /** Failures that counted as misses. */
  readonly errors: number;
}

export class LocalCounters {
  readonly #native: NativeStore;

  constructor(native: NativeStore) {
    this.#native = native;
  }

  /** Sums of all processes so far; those of the others are up to five seconds old. */
  read(namespace: string): CounterSums {
    return JSON.parse(translated(() => this.#native.counters(namespace)));
  }

  /** Adds counts; they reach the disk within five seconds, and at close. */
  add(namespace: string, counts: CounterSums): void {
    translated(() => this.#native.count(namespace, JSON.stringify(counts)));
  }
}
