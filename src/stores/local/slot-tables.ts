/** The engine's words of all entries, as far as they are in use. */

import { type NativeStore, translated } from "../../native/store.ts";
import { NOWHERE } from "../memory/slots.ts";
import type { Coherence } from "../store.ts";

/** Slots that views have at first: 1 MiB of each table. */
const FEW = 1 << 18;
/** Slots that there are. */
const ALL = 1 << 24;
/** By how much views grow. */
const FACTOR = 8;

/**
 * The engine maps its tables whole, 64 MiB each. V8 collects garbage as soon as it has been shown so much more memory,
 * which takes 5 to 10 ms of opening a cache and frees nothing; so the views get longer only as slots are met.
 */
export class SlotTables {
  readonly #native: NativeStore;
  readonly #coherences: { -readonly [Field in keyof Coherence]: Coherence[Field] }[] = [];
  #length = FEW;
  #stamps: ArrayBuffer;
  #heat: ArrayBuffer;

  constructor(native: NativeStore) {
    this.#native = native;
    ({ stamps: this.#stamps, heat: this.#heat } = this.#views(FEW));
  }

  /** Views for a namespace with its epoch in this slot. */
  coherence(epochSlot: number): Coherence {
    this.reach(epochSlot);
    const made = { stamps: new Uint32Array(this.#stamps), heat: new Uint32Array(this.#heat), epochSlot };
    this.#coherences.push(made);
    return made;
  }

  /** Sees to it that the views have the slot. */
  reach(slot: number): void {
    if (slot < this.#length || this.#length === ALL || slot === NOWHERE) return;
    let length = this.#length;
    while (slot >= length && length < ALL) length *= FACTOR;
    ({ stamps: this.#stamps, heat: this.#heat } = this.#views(length));
    this.#length = length;
    for (const coherence of this.#coherences) {
      coherence.stamps = new Uint32Array(this.#stamps);
      coherence.heat = new Uint32Array(this.#heat);
    }
  }

  #views(length: number): ReturnType<NativeStore["slotTables"]> {
    return translated(() => this.#native.slotTables(length));
  }
}
