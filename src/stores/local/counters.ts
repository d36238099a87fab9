/** Counters that survive restarts and add up over all processes, kept in the catalog. */

import { type NativeStore, translated } from "../../native/store.ts";
import type { CounterKeeper, Counters } from "../counters.ts";

export class LocalCounters implements CounterKeeper {
  readonly #native: NativeStore;

  constructor(native: NativeStore) {
    this.#native = native;
  }

  /** Sums of all processes so far; those of the others are up to five seconds old. */
  read(namespace: string): Readonly<Counters> {
    return JSON.parse(translated(() => this.#native.counters(namespace)));
  }

  /** Adds counts; they reach the disk within five seconds, and at close. */
  add(namespace: string, counts: Readonly<Counters>): void {
    translated(() => this.#native.count(namespace, JSON.stringify(counts)));
  }
}
