/** One npy array in bytes: what the npy codec stores, and what an npz archive has for members. */

import { type NpyHeader, npyHeader, npyParse } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { Elements } from "../tensor/elements.ts";
import { columnMajorStrides, elementCount, isColumnMajor, rowMajorStrides } from "../tensor/layout.ts";
import { bytesOf, Tensor } from "../tensor/tensor.ts";
import type { DecodeContext, PartedBytes } from "./codec.ts";
import { elementsIn, elementsInParts, knownDType, type StoredElements } from "./views.ts";

/** More than the header of any file that is read, with all before it. */
const LONGEST_HEADER = 64 * 1024;

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;

/** Whether the first six bytes are those of an npy file. */
export function startsLikeNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Whether NumPy has the type: all but bfloat16 and 8-bit floats. */
export function isNumPyType(dtype: DType): boolean {
  return dtype !== "bfloat16" && !dtype.startsWith("float8");
}

/**
 * The npy header and the data of a tensor, in this order, the data not copied where it lies row by row or column
 * by column. The header is a multiple of 64 bytes long. Throws ERR_QUIVER_BAD_VALUE for bfloat16 and 8-bit floats.
 */
export function encodeArray(tensor: Tensor): [header: Uint8Array, data: Uint8Array] {
  if (!isNumPyType(tensor.dtype)) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", `npy and npz files cannot hold ${tensor.dtype}`, {
      hint: "NumPy has no such type and would read the values as raw bytes",
      fix: 'Use the codec "safetensors" or "pt", or convert to float32, which holds every value exactly.',
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
  const header = npyParse(bytes, bytes.byteLength);
  context.verify?.(start, start + header.dataOffset);
  return tensorOf(header, elementsIn(bytes, elementsOf(header, start), context));
}

/** The same of a whole npy file of which parts can be had by themselves. */
export function decodeArrayParts(bytes: PartedBytes, context: DecodeContext): Tensor {
  const end = Math.min(LONGEST_HEADER, bytes.byteLength);
  // Before anything is shown of them: then what lies in memory is compared, and nothing has to be read for it.
  context.verify?.(0, end);
  const header = npyParse(bytes.part(0, end), bytes.byteLength);
  return tensorOf(header, elementsInParts(bytes, elementsOf(header, 0), context));
}

function elementsOf(header: NpyHeader, start: number): StoredElements {
  const { shape, bigEndian, dataOffset: at } = header;
  return { dtype: knownDType(header.dtype), count: elementCount(shape), at, start: start + at, bigEndian };
}

function tensorOf({ dtype, shape, fortranOrder }: NpyHeader, elements: Elements): Tensor {
  const strides = fortranOrder ? columnMajorStrides(shape) : rowMajorStrides(shape);
  return new Tensor(elements, shape, { dtype: knownDType(dtype), strides, offset: 0 });
}
