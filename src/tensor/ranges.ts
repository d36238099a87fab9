/** Indices and bounds, counted along one axis. */

import { badArgument, shown } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { checkArrayLength } from "../shared/largest-array.ts";

/** Throws ERR_QUIVER_OUT_OF_RANGE unless `index` is one of `size`. */
export function checkIndex(index: number, size: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < size)) throw outOfRange(index, size);
}

/** A bound as `Array.prototype.slice` takes it: from the end where it is below zero, and never outside. Throws ERR_QUIVER_BAD_VALUE for what is no number. */
export function boundOf(bound: number, size: number): number {
  if (typeof bound !== "number") throw badArgument("a bound", bound, "a number");
  const whole = Math.trunc(bound) || 0;
  return whole < 0 ? Math.max(size + whole, 0) : Math.min(whole, size);
}

/** Indices of `size` rows, checked: the same array where it holds them in 32 bits, else a copy. Throws ERR_QUIVER_OUT_OF_RANGE. */
export function asIndices(indices: ArrayLike<number>, size: number): Uint32Array {
  if (indices instanceof Uint32Array) {
    for (const index of indices) if (index >= size) throw outOfRange(index, size);
    return indices;
  }
  const length: unknown = (indices as ArrayLike<number> | null | undefined)?.length;
  if (typeof indices !== "object" || !Number.isSafeInteger(length) || (length as number) < 0) {
    throw badArgument("indices", indices, "a list of numbers");
  }
  const wanted = indices.length;
  checkArrayLength(wanted * Uint32Array.BYTES_PER_ELEMENT, "a list of indices", "Gather in parts.");
  const picked = new Uint32Array(wanted);
  for (let i = 0; i < wanted; i++) {
    const index: unknown = indices[i];
    if (typeof index !== "number" || !(index < size)) throw outOfRange(index, size);
    picked[i] = index;
    // An index that does not survive the conversion is negative, fractional or beyond 32 bits.
    if (picked[i] !== index) throw outOfRange(index, size);
  }
  return picked;
}

function outOfRange(index: unknown, size: number): QuiverError {
  return new QuiverError("ERR_QUIVER_OUT_OF_RANGE", `index ${shown(index)} is not in [0, ${size})`, {
    hint: `Indices count from 0, and there are ${size}.`,
    fix: "Correct the index; the data is fine.",
    found: index,
  });
}
