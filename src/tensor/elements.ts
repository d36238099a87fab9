/** The memory that tensors are views on. */

import { QuiverError } from "../shared/errors.ts";
import type { TypedArray } from "./dtype.ts";

/** Checks bytes of a stored value, `[start, end)` counted from the value's first byte. */
export interface Backing {
  /** Throws ERR_QUIVER_CHECKSUM_MISMATCH. Checks each part once; later calls are cheap. */
  verify(start: number, end: number): void;
  /** The same off the main thread, reading ahead. */
  ready(start: number, end: number): Promise<void>;
}

/** Up to this many bytes are checked on the spot when they are first used; more would hold up the event loop. */
export const SYNC_VERIFY_LIMIT: number = 8 * 1024 * 1024;

/** A typed array shared by all views on one tensor, and what is known about its bytes. */
export class Elements {
  /** In memory order. Complex numbers take two values each. */
  readonly values: TypedArray;
  /** The values lie in a mapped file. Writing to them changes only this process's copy of the touched pages. */
  readonly mapped: boolean;
  readonly #backing: Backing | undefined;
  /** Where the first of `values` lies in the stored value, in bytes. */
  readonly #start: number;
  #verified: boolean;

  constructor(values: TypedArray, mapped = false, backing?: Backing, start = 0) {
    this.values = values;
    this.mapped = mapped;
    this.#backing = backing;
    this.#start = start;
    this.#verified = backing === undefined;
  }

  /** Everything has been checked, so that views need not ask again. */
  get verified(): boolean {
    return this.#verified;
  }

  /** Checks the bytes `[start, end)` of `values`; throws ERR_QUIVER_NOT_READY beyond what may be checked on the spot. */
  verify(start: number, end: number): void {
    if (this.#verified) return;
    if (end - start > SYNC_VERIFY_LIMIT) throw notReady(end - start);
    this.#backing?.verify(this.#start + start, this.#start + end);
    this.#noteVerified(start, end);
  }

  /** Checks the bytes `[start, end)` of `values` and brings them into memory, off the main thread. */
  async ready(start: number, end: number): Promise<void> {
    if (end <= start) return;
    await this.#backing?.ready(this.#start + start, this.#start + end);
    this.#noteVerified(start, end);
  }

  #noteVerified(start: number, end: number): void {
    if (start === 0 && end === this.values.byteLength) this.#verified = true;
  }
}

export function notReady(byteLength: number): QuiverError {
  return new QuiverError(
    "ERR_QUIVER_NOT_READY",
    `${byteLength} bytes of this tensor have not been checked yet`,
    {
      hint: "checking them at once would hold up the event loop",
      fix: "await tensor.ready() first",
    },
  );
}
