/**
 * File values as this isolate has them: one ArrayBuffer a file for as long as anybody holds it, so that opening a
 * value again costs no mapping.
 */

import { markAsUntransferable } from "node:worker_threads";
import { type NativeStore, translated, translatedAsync, type ValueCheck } from "../../native/store.ts";
import { QuiverError } from "../../shared/errors.ts";

/** An open value. */
export interface OpenValue {
  readonly buffer: ArrayBuffer;
  readonly mapped: boolean;
  /** Absent for small values, which are verified when they are read. */
  readonly check: ValueCheck | undefined;
}

interface Held {
  readonly buffer: WeakRef<ArrayBuffer>;
  readonly mapped: boolean;
}

/** Beyond this many the ones that were collected are forgotten. */
const SWEEP_AT = 4096;

export class OpenValues {
  readonly #held = new Map<bigint, Held>();
  /** A check holds the memory that it checks, so it must not outlive the buffer over it. */
  readonly #checks = new WeakMap<ArrayBuffer, ValueCheck>();
  #sweepAt = SWEEP_AT;

  /** The value just found by a look-up, of this content id; undefined when its file is gone. */
  take(native: NativeStore, content: bigint): OpenValue | undefined {
    const held = this.#held.get(content);
    const buffer = held?.buffer.deref();
    if (held !== undefined && buffer !== undefined && buffer.byteLength > 0) {
      const check = this.#checks.get(buffer);
      touchEnd(buffer);
      if (!check?.poisoned) return { buffer, mapped: held.mapped, check };
    }
    const taken = translated(() => native.take());
    if (taken === null) return undefined;
    const [{ buffer: fresh, mapped }, check] = taken;
    if (check === null || check === undefined) return { buffer: fresh, mapped, check: undefined };
    // Transferred to a worker it would be a silent copy of everything, and empty here.
    markAsUntransferable(fresh);
    this.#checks.set(fresh, check);
    this.#remember(content, { buffer: new WeakRef(fresh), mapped });
    return { buffer: fresh, mapped, check };
  }

  #remember(content: bigint, held: Held): void {
    if (this.#held.size >= this.#sweepAt) {
      for (const [id, { buffer }] of this.#held) if (buffer.deref() === undefined) this.#held.delete(id);
      this.#sweepAt = Math.max(SWEEP_AT, this.#held.size * 2);
    }
    this.#held.set(content, held);
  }
}

/**
 * Reads the last byte. Of a file that another program has cut short this poisons the mapping; until then nothing
 * would tell the zeros that are read in place of what is gone.
 */
function touchEnd(buffer: ArrayBuffer): number | undefined {
  return new Uint8Array(buffer, buffer.byteLength - 1)[0];
}

/** Verification of a value through what the add-on knows of it. */
export function verifier(check: ValueCheck): {
  verify: (start: number, end: number) => void;
  ready: (start: number, end: number) => Promise<void>;
} {
  return {
    verify: (start, end) => {
      refusePoisoned(check);
      translated(() => check.verify(start, end));
    },
    ready: async (start, end) => {
      refusePoisoned(check);
      if (!check.covers(start, end)) await translatedAsync(() => check.ready(start, end));
    },
  };
}

function refusePoisoned(check: ValueCheck): void {
  if (!check.poisoned) return;
  throw new QuiverError("ERR_QUIVER_CORRUPT", "the file was cut short while it was in use", {
    hint: "Another program truncated it, or the disk lost pages of it; what was lost reads as zeros.",
  });
}
