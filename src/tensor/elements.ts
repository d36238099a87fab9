/** The memory that tensors are views on. */

import { QuiverError } from "../shared/errors.ts";
import type { TypedArray } from "./dtype.ts";

/** Checks bytes of a stored value, `[start, end)` counted from the value's first byte. */
export interface Backing {
  /** Throws ERR_QUIVER_CHECKSUM_MISMATCH. Checks each part once; later calls are cheap. */
  verify(start: number, end: number): void;
  /** The same off the main thread, reading ahead. */
  ready(start: number, end: number): Promise<void>;
  /** `verify` costs next to nothing however long the range is, and what it finds may change: nothing is remembered. */
  readonly instant: boolean;
}

/** Up to this many bytes are checked on the spot when they are first used; more would hold up the event loop. */
export const SYNC_VERIFY_LIMIT: number = 8 * 1024 * 1024;

/** Values of which some can be viewed at less expense than all. */
export interface PartedValues {
  readonly length: number;
  /** The values `[start, end)`. */
  part(start: number, end: number): TypedArray;
}

/** A typed array shared by all views on one tensor, and what is known about its bytes. */
export class Elements {
  readonly #parts: PartedValues | undefined;
  #values: TypedArray | undefined;
  /** The values lie in a mapped file. Writing to them changes only this process's copy of the touched pages. */
  readonly mapped: boolean;
  readonly #backing: Backing | undefined;
  /** Where the first of `values` lies in the stored value, in bytes. */
  readonly #start: number;
  /** Ranges that `ready` has checked: ascending, apart from each other. */
  #checked: { readonly start: number; readonly end: number }[] = [];

  constructor(values: TypedArray | PartedValues, mapped = false, backing?: Backing, start = 0) {
    if (ArrayBuffer.isView(values)) this.#values = values;
    else this.#parts = values;
    this.mapped = mapped;
    this.#backing = backing;
    this.#start = start;
  }

  /** All values in memory order. Complex numbers take two each. */
  get values(): TypedArray {
    this.#values ??= this.#parts?.part(0, this.#parts.length);
    return this.#values as TypedArray;
  }

  /** The values `[start, end)`, on the same memory. */
  part(start: number, end: number): TypedArray {
    if (this.#values !== undefined || this.#parts === undefined) return this.values.subarray(start, end);
    return start === 0 && end === this.#parts.length ? this.values : this.#parts.part(start, end);
  }

  /** Whether the bytes `[start, end)` of `values` may be used without another word. */
  isReady(start: number, end: number): boolean {
    return (
      this.#backing === undefined || this.#checked.some((range) => range.start <= start && end <= range.end)
    );
  }

  /** More bytes than this can't be checked on the spot. */
  get verifyLimit(): number {
    return this.#backing?.instant ? Number.POSITIVE_INFINITY : SYNC_VERIFY_LIMIT;
  }

  /** Checks the bytes `[start, end)` of `values`; throws ERR_QUIVER_NOT_READY beyond what may be checked on the spot. */
  verify(start: number, end: number): void {
    if (this.isReady(start, end)) return;
    if (end - start > this.verifyLimit) throw notReady(end - start);
    this.#backing?.verify(this.#start + start, this.#start + end);
  }

  /** Checks again where what was found may have changed since. */
  recheck(): void {
    if (this.#backing?.instant) this.#backing.verify(this.#start, this.#start);
  }

  /** Checks the bytes `[start, end)` of `values` and brings them into memory, off the main thread. */
  async ready(start: number, end: number): Promise<void> {
    if (this.isReady(start, end) || end <= start) return;
    await this.#backing?.ready(this.#start + start, this.#start + end);
    if (this.#backing?.instant) return;
    const touching = this.#checked.filter((range) => range.start <= end && start <= range.end);
    const merged = {
      start: Math.min(start, ...touching.map((range) => range.start)),
      end: Math.max(end, ...touching.map((range) => range.end)),
    };
    const apart = this.#checked.filter((range) => !touching.includes(range));
    this.#checked = [...apart, merged].sort((a, b) => a.start - b.start);
  }
}

export function notReady(byteLength: number): QuiverError {
  return new QuiverError(
    "ERR_QUIVER_NOT_READY",
    `${byteLength} bytes of this tensor have not been checked yet`,
    {
      hint: "Checking them at once would hold up the event loop.",
      fix: "Call await tensor.ready() first.",
    },
  );
}
