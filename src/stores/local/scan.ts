/** One pass over eviction candidates. */

import { type NativeScan, translated, translatedAsync } from "../../native/store.ts";
import type { CandidateColumns } from "../../policy/eviction.ts";
import type { EvictionResult, EvictionScan } from "../store.ts";

export class LocalScan implements EvictionScan {
  readonly #native: NativeScan;

  constructor(native: NativeScan) {
    this.#native = native;
  }

  async next(limit: number): Promise<CandidateColumns | undefined> {
    return (await translatedAsync(() => this.#native.next(limit))) ?? undefined;
  }

  offer(scores: Float64Array): void {
    translated(() => this.#native.offer(scores));
  }

  async evict(goal: { allocated: number; entries: number }): Promise<EvictionResult> {
    return JSON.parse(await translatedAsync(() => this.#native.evict(goal.allocated, goal.entries)));
  }

  [Symbol.dispose](): void {
    // What the scan holds is memory of its own, freed with it.
  }
}
