/** The engine's words of all entries, as far as they are in use. */

import { type NativeStore, translated } from "../../native/store.ts";
import { type Coherence, NOWHERE } from "../store.ts";

/** Slots that views have at first: 1 MiB of each table. */
const FEW = 1 << 18;
/** Slots that there are. */
const ALL = 1 << 24;
/** By how much views grow. */
const FACTOR = 8;

type Views = Pick<Coherence, "stamps" | "heat">;

/**
 * The engine maps its tables whole, 64 MiB each. V8 collects garbage as soon as it has been shown so much more memory,
 * which takes 5 to 10 ms of opening a cache and frees nothing; so the views get longer only as slots are met.
 */
export class SlotTables {
  readonly #native: NativeStore;
  readonly #coherences: Coherence[] = [];
  #views: Views;

  constructor(native: NativeStore) {
    this.#native = native;
    this.#views = this.#viewsOf(FEW);
  }

  /** Views for a namespace with its epoch in this slot. */
  coherence(epochSlot: number): Coherence {
    this.reach(epochSlot);
    const made = { ...this.#views, epochSlot };
    this.#coherences.push(made);
    return made;
  }

  /** Sees to it that the views have the slot. */
  reach(slot: number): void {
    let { length } = this.#views.stamps;
    if (slot < length || length === ALL || slot === NOWHERE) return;
    while (slot >= length && length < ALL) length *= FACTOR;
    this.#views = this.#viewsOf(length);
    for (const coherence of this.#coherences) Object.assign(coherence, this.#views);
  }

  #viewsOf(length: number): Views {
    const { stamps, heat } = translated(() => this.#native.slotTables(length));
    return { stamps: new Uint32Array(stamps), heat: new Uint32Array(heat) };
  }
}
