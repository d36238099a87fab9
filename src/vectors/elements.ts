/** Elements of vectors as they are kept: as they are, rounded to half precision, or quantised to a byte. */

import type { TypedArray } from "../tensor/dtype.ts";
import { fromFloat16, toFloat16 } from "../tensor/float16.ts";
import { bytesOf } from "../tensor/tensor.ts";
import { refusal } from "./embedded.ts";
import type { Quantization } from "./metadata.ts";

/** How elements are kept. */
export type StoredDType = "float32" | "float16" | "int8";

/** The bytes that stand for the values; of float32 the values' own memory. Throws ERR_QUIVER_VECTORIZER for what float16 doesn't hold. */
export function encodeElements(
  values: Float32Array,
  dtype: StoredDType,
  quantization: Quantization,
): Uint8Array {
  if (dtype === "float32") return bytesOf(values);
  if (dtype === "float16") return bytesOf(Uint16Array.from(values, halfOf));
  const { scale, zeroPoint } = quantization;
  const quantised = (value: number) => Math.min(Math.max(Math.round(value / scale) + zeroPoint, -128), 127);
  return bytesOf(Int8Array.from(values, quantised));
}

/** From here on values are rounded to infinity. */
const BEYOND_FLOAT16 = 65_520;

function halfOf(value: number): number {
  if (Math.abs(value) < BEYOND_FLOAT16) return toFloat16(value);
  throw refusal(`the vectorizer gave ${value}, which is too large for float16`);
}

/** What stored elements stand for; encoded again they give the same bytes. Of float32 the elements themselves. */
export function decodeElements(
  stored: TypedArray,
  dtype: StoredDType,
  { scale, zeroPoint }: Quantization,
): Float32Array {
  if (dtype === "float32") return stored as Float32Array;
  if (dtype === "float16") return Float32Array.from(stored as Uint16Array, fromFloat16);
  return Float32Array.from(stored as Int8Array, (value) => (value - zeroPoint) * scale);
}
