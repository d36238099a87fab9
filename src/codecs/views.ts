/** Tensors over stored bytes: views where order and alignment permit, else copies. */

import { swapBytes } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { type DType, dtypeFacts, isDType, type TypedArray } from "../tensor/dtype.ts";
import { type Backing, Elements } from "../tensor/elements.ts";
import { allocate, bytesOf, Tensor } from "../tensor/tensor.ts";
import type { DecodeContext, PartedBytes } from "./codec.ts";
import { isPlainObject } from "./values.ts";

/** Elements as they lie in a file. */
export interface StoredElements {
  readonly dtype: DType;
  /** How many, all within the bytes. */
  readonly count: number;
  /** Where the first one lies: in the bytes at hand, and in the stored value, which need not begin with them. */
  readonly at: number;
  readonly start: number;
  readonly bigEndian?: boolean;
}

/**
 * The elements in `bytes`. A view, whose bytes are checked when they are first used; a copy, checked at once, of
 * big-endian and of unaligned ones.
 */
export function elementsIn(bytes: Uint8Array, stored: StoredElements, context: DecodeContext): Elements {
  const { dtype, count, at, start, bigEndian = false } = stored;
  const { array, itemSize, components } = dtypeFacts(dtype);
  const data = bytes.subarray(at, at + count * itemSize);
  const swapped = bigEndian && array.BYTES_PER_ELEMENT > 1;
  if (data.byteOffset % array.BYTES_PER_ELEMENT === 0 && !swapped) {
    const values = new array(data.buffer, data.byteOffset, count * components);
    return new Elements(values, context.mapped, backingOf(context), start);
  }
  context.verify?.(start, start + data.byteLength);
  const values = allocate(dtype, count);
  if (swapped) swapBytes(data, array.BYTES_PER_ELEMENT, bytesOf(values));
  else bytesOf(values).set(data);
  return new Elements(values);
}

/** The same where parts of the bytes can be had by themselves. Of a view none are, before it is used. */
export function elementsInParts(
  bytes: PartedBytes,
  stored: StoredElements,
  context: DecodeContext,
): Elements {
  const { dtype, count, at, start, bigEndian = false } = stored;
  const { array, components } = dtypeFacts(dtype);
  const size = array.BYTES_PER_ELEMENT;
  if (at % size !== 0 || (bigEndian && size > 1)) return elementsIn(bytes.all, stored, context);
  const values = {
    length: count * components,
    part: (from: number, to: number): TypedArray => {
      const part = bytes.part(at + from * size, at + to * size);
      return new array(part.buffer, part.byteOffset, to - from);
    },
  };
  return new Elements(values, context.mapped, backingOf(context), start);
}

/** The dtype that the add-on names. */
export function knownDType(name: string): DType {
  if (isDType(name)) return name;
  throw new QuiverError("ERR_QUIVER_INTERNAL", `the add-on names a dtype ${name}`);
}

/** Whether a value is a plain object of tensors. */
export function isTensors(value: unknown): value is Readonly<Record<string, Tensor>> {
  return isPlainObject(value) && Object.values(value).every((member) => member instanceof Tensor);
}

/** Bytes of heap a decoded tensor holds: little for a view into a file. */
export function weightOf(tensor: Tensor): number {
  const FIXED = 400;
  return FIXED + (tensor.isView ? 0 : tensor.byteLength);
}

function backingOf({ verify, ready, instant = false }: DecodeContext): Backing | undefined {
  if (verify === undefined) return undefined;
  return { verify, ready: ready ?? (async (start, end) => verify(start, end)), instant };
}
