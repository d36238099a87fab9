/** One npy array in bytes: what the npy codec stores, and what an npz archive has for members. */

import { npyHeader, npyParse, swapBytes } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { dtypeFacts, isDType } from "../tensor/dtype.ts";
import { type Backing, Elements } from "../tensor/elements.ts";
import { columnMajorStrides, elementCount, isColumnMajor, rowMajorStrides } from "../tensor/layout.ts";
import { allocate, bytesOf, Tensor } from "../tensor/tensor.ts";
import type { DecodeContext } from "./codec.ts";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;

/** Whether the first six bytes are those of an npy file. */
export function startsLikeNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * The npy header and the data of a tensor, in this order, the data not copied where it lies row by row or column
 * by column. The header is a multiple of 64 bytes long. Throws ERR_QUIVER_BAD_VALUE for bfloat16.
 */
export function encodeArray(tensor: Tensor): [header: Uint8Array, data: Uint8Array] {
  if (tensor.dtype === "bfloat16") {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "npy and npz files cannot hold bfloat16", {
      hint: "NumPy has no such type and would read the values as raw bytes",
      fix: "convert to float32, which holds every bfloat16 exactly",
    });
  }
  const columns = !tensor.isContiguous && isColumnMajor(tensor.shape, tensor.strides);
  const data = bytesOf(columns ? tensor.memory : tensor.data);
  return [npyHeader(tensor.dtype, tensor.shape, columns), data];
}

/**
 * The tensor in `bytes`, which begin at byte `start` of the stored value. A view where byte order and alignment
 * permit, else a copy. The header is checked before this returns, a view's data when it is first used.
 */
export function decodeArray(bytes: Uint8Array, start: number, context: DecodeContext): Tensor {
  const header = npyParse(bytes);
  context.verify?.(start, start + header.dataOffset);
  const { dtype, shape } = header;
  if (!isDType(dtype)) throw new QuiverError("ERR_QUIVER_INTERNAL", `the add-on names a dtype ${dtype}`);
  const { array, itemSize, components } = dtypeFacts(dtype);
  const count = elementCount(shape);
  const dataStart = start + header.dataOffset;
  const data = bytes.subarray(header.dataOffset, header.dataOffset + count * itemSize);
  const aligned = data.byteOffset % array.BYTES_PER_ELEMENT === 0;
  let elements: Elements;
  if (aligned && !header.bigEndian) {
    const values = new array(data.buffer, data.byteOffset, count * components);
    elements = new Elements(values, context.mapped, backingOf(context), dataStart);
  } else {
    context.verify?.(dataStart, dataStart + data.byteLength);
    const values = allocate(dtype, count);
    if (header.bigEndian) swapBytes(data, array.BYTES_PER_ELEMENT, bytesOf(values));
    else bytesOf(values).set(data);
    elements = new Elements(values);
  }
  const strides = header.fortranOrder ? columnMajorStrides(shape) : rowMajorStrides(shape);
  return new Tensor(elements, shape, { dtype, strides, offset: 0 });
}

/** Bytes of heap a decoded tensor holds: little for a view into a file. */
export function weightOf(tensor: Tensor): number {
  const FIXED = 400;
  return FIXED + (tensor.isView ? 0 : tensor.byteLength);
}

function backingOf({ verify, ready }: DecodeContext): Backing | undefined {
  if (verify === undefined) return undefined;
  return { verify, ready: ready ?? (async (start, end) => verify(start, end)) };
}
