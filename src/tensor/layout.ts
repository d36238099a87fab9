/** Arithmetic of shapes and strides. Strides count elements, as shapes do; bytes come in only where said. */

import { QuiverError } from "../shared/errors.ts";

/** Product of the sizes; 1 for a 0-d tensor. Throws ERR_QUIVER_BAD_VALUE for sizes that are no counts or multiply beyond 2^53. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  let empty = false;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_VALUE",
        `shape [${shape.join(", ")}] holds ${size}, which is no size`,
      );
    }
    if (size === 0) empty = true;
    else count *= size;
    if (!Number.isSafeInteger(count)) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_VALUE",
        `shape [${shape.join(", ")}] holds more elements than can be counted`,
      );
    }
  }
  return empty ? 0 : count;
}

/** Strides of elements that lie row by row: the last axis is dense. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis] as number;
  }
  return strides;
}

/** Strides of elements that lie column by column: the first axis is dense. */
export function columnMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = 0; axis < shape.length; axis++) {
    strides[axis] = step;
    step *= shape[axis] as number;
  }
  return strides;
}

/** Whether the elements, from axis `from` on, lie row by row without gaps. Axes of size 1 may have any stride. */
export function isRowMajor(shape: readonly number[], strides: readonly number[], from = 0): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let axis = shape.length - 1; axis >= from; axis--) {
    const size = shape[axis] as number;
    if (size !== 1 && strides[axis] !== step) return false;
    step *= size;
  }
  return true;
}

/** Whether the elements lie column by column without gaps. */
export function isColumnMajor(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let step = 1;
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis] as number;
    if (size !== 1 && strides[axis] !== step) return false;
    step *= size;
  }
  return true;
}

/** How many elements lie from the first to the last one, gaps included; 0 when there are none. */
export function extent(shape: readonly number[], strides: readonly number[]): number {
  let last = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis] as number;
    if (size === 0) return 0;
    last += (size - 1) * (strides[axis] as number);
  }
  return last + 1;
}
