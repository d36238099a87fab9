/**
 * File values as this isolate has them: one mapping a file for as long as anybody holds a view on it, so that opening a
 * value again costs none.
 */

import { MappedBytes, type NativeMemory } from "../../native/mapped-bytes.ts";
import { type NativeStore, type OpenFile, translated, translatedAsync } from "../../native/store.ts";
import { QuiverError } from "../../shared/errors.ts";
import { LARGEST_ARRAY } from "../../shared/largest-array.ts";

/** An open value: its bytes, and the means to check parts of them. */
export class OpenValue implements NativeMemory {
  readonly byteLength: number;
  /** It lies in a mapped file. */
  readonly mapped: boolean;
  readonly bytes: MappedBytes;
  readonly #file: OpenFile;
  /** All of it has been compared with its sums. */
  #isVerified = false;

  constructor(file: OpenFile, byteLength: number) {
    this.#file = file;
    this.byteLength = byteLength;
    this.mapped = file.mapped;
    this.bytes = new MappedBytes(this);
  }

  /** Nothing was cut off the file so far. */
  get isWhole(): boolean {
    return this.#file.whole;
  }

  memory(start: number, end: number): ArrayBuffer {
    return translated(() => this.#file.memory(start, end));
  }

  readonly verify = (start: number, end: number): void => {
    // Each call of the add-on's takes as long as the rest of a read.
    if (this.#isVerified) this.#refuseCut();
    else translated(() => this.#file.verify(start, end));
    this.#isVerified ||= start === 0 && end === this.byteLength;
  };

  readonly ready = async (start: number, end: number): Promise<void> => {
    this.#refuseCut();
    if (!this.#file.covers(start, end)) await translatedAsync(() => this.#file.ready(start, end));
  };

  #refuseCut(): void {
    if (this.#file.whole) return;
    throw new QuiverError("ERR_QUIVER_CORRUPT", "the file was cut short while it was in use", {
      hint: "Another program truncated it, or the disk lost pages of it; what was lost reads as zeros.",
    });
  }
}

/** Beyond this many the ones that were collected are forgotten. */
const SWEEP_AT = 4096;

export class OpenValues {
  readonly #held = new Map<bigint, WeakRef<OpenValue>>();
  #sweepAt = SWEEP_AT;

  /**
   * The value just found by a look-up, of this content id and as many bytes: open, or as a copy where it is small;
   * undefined when its file is gone. Throws ERR_QUIVER_CORRUPT where that has another length.
   */
  take(native: NativeStore, content: bigint, size: number): OpenValue | Uint8Array | undefined {
    const held = this.#held.get(content)?.deref();
    if (held?.isWhole) return held;
    const taken = translated(() => native.take());
    if (taken === null) return undefined;
    if (taken instanceof ArrayBuffer) return new Uint8Array(taken);
    const value = new OpenValue(taken, size);
    // What can't be had as a whole is refused before a part of it is shown.
    if (value.byteLength > LARGEST_ARRAY) void value.bytes.all;
    this.#remember(content, value);
    return value;
  }

  #remember(content: bigint, value: OpenValue): void {
    if (this.#held.size >= this.#sweepAt) {
      for (const [id, reference] of this.#held) if (reference.deref() === undefined) this.#held.delete(id);
      this.#sweepAt = Math.max(SWEEP_AT, this.#held.size * 2);
    }
    this.#held.set(content, new WeakRef(value));
  }
}
