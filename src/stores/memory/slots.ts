/** The coherence table: one word an entry that tells holders of decoded values whether they are current. */

import { NOWHERE } from "../store.ts";

/**
 * Stamps and heat of up to `capacity` entries. Every write takes a new stamp from one counter, so that a slot
 * that is given away again never shows a stamp that it had before (until 2^32 writes later).
 */
export class SlotTable {
  /** The memory is reserved at once and used as slots are taken. */
  readonly stamps: Uint32Array;
  readonly heat: Uint32Array;
  readonly #free: number[] = [];
  #unused = 0;
  #lastStamp = 0;

  constructor(capacity: number) {
    this.stamps = new Uint32Array(capacity);
    this.heat = new Uint32Array(capacity);
  }

  /** A slot for a new entry, or NOWHERE when all are taken. */
  take(): number {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    return this.#unused < this.stamps.length ? this.#unused++ : NOWHERE;
  }

  /** Invalidates what is held under this slot; returns the new stamp. */
  stamp(slot: number): number {
    this.#lastStamp = (this.#lastStamp + 1) >>> 0;
    if (slot !== NOWHERE) Atomics.store(this.stamps, slot, this.#lastStamp);
    return this.#lastStamp;
  }

  /** Invalidates what is held under this slot and makes it free for another entry. */
  release(slot: number): void {
    this.stamp(slot);
    if (slot !== NOWHERE) this.#free.push(slot);
  }
}
