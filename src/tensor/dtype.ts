/** The element types a tensor can have, and the typed arrays that hold them. */

import { QuiverError } from "../shared/errors.ts";

/** What the elements of a tensor are, by NumPy's names where it has them. */
export type DType =
  | "bool"
  | "int8"
  | "uint8"
  | "float8_e4m3fn"
  | "float8_e4m3fnuz"
  | "float8_e5m2"
  | "float8_e5m2fnuz"
  | "float8_e8m0fnu"
  | "int16"
  | "uint16"
  | "float16"
  | "bfloat16"
  | "int32"
  | "uint32"
  | "float32"
  | "int64"
  | "uint64"
  | "float64"
  | "complex64"
  | "complex128";

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** One element: booleans for bool, bigints for 64-bit integers, `[re, im]` for complex numbers, else a number. */
export type Scalar = number | bigint | boolean | readonly [re: number, im: number];

interface ArrayConstructor {
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

/** How the elements of one dtype lie in memory. */
export interface DTypeFacts {
  /** Bytes of one element. */
  readonly itemSize: number;
  /** Values of `array` that make one element: 2 for complex numbers. */
  readonly components: 1 | 2;
  readonly array: ArrayConstructor;
}

const facts: Readonly<Record<DType, DTypeFacts>> = {
  bool: { itemSize: 1, components: 1, array: Uint8Array },
  int8: { itemSize: 1, components: 1, array: Int8Array },
  uint8: { itemSize: 1, components: 1, array: Uint8Array },
  float8_e4m3fn: { itemSize: 1, components: 1, array: Uint8Array },
  float8_e4m3fnuz: { itemSize: 1, components: 1, array: Uint8Array },
  float8_e5m2: { itemSize: 1, components: 1, array: Uint8Array },
  float8_e5m2fnuz: { itemSize: 1, components: 1, array: Uint8Array },
  float8_e8m0fnu: { itemSize: 1, components: 1, array: Uint8Array },
  int16: { itemSize: 2, components: 1, array: Int16Array },
  uint16: { itemSize: 2, components: 1, array: Uint16Array },
  float16: { itemSize: 2, components: 1, array: Uint16Array },
  bfloat16: { itemSize: 2, components: 1, array: Uint16Array },
  int32: { itemSize: 4, components: 1, array: Int32Array },
  uint32: { itemSize: 4, components: 1, array: Uint32Array },
  float32: { itemSize: 4, components: 1, array: Float32Array },
  int64: { itemSize: 8, components: 1, array: BigInt64Array },
  uint64: { itemSize: 8, components: 1, array: BigUint64Array },
  float64: { itemSize: 8, components: 1, array: Float64Array },
  complex64: { itemSize: 8, components: 2, array: Float32Array },
  complex128: { itemSize: 16, components: 2, array: Float64Array },
};

export const dtypes: readonly DType[] = Object.keys(facts) as DType[];

export function isDType(name: string): name is DType {
  return Object.hasOwn(facts, name);
}

/** Throws ERR_QUIVER_BAD_VALUE for a name that is no dtype. */
export function dtypeFacts(dtype: DType): DTypeFacts {
  if (!isDType(dtype)) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", `unknown dtype ${JSON.stringify(dtype)}`, {
      hint: `Known are ${dtypes.join(", ")}.`,
    });
  }
  return facts[dtype];
}

const natural: ReadonlyMap<string, DType> = new Map<string, DType>([
  ["Int8Array", "int8"],
  ["Uint8Array", "uint8"],
  ["Uint8ClampedArray", "uint8"],
  ["Buffer", "uint8"],
  ["Int16Array", "int16"],
  ["Uint16Array", "uint16"],
  ["Int32Array", "int32"],
  ["Uint32Array", "uint32"],
  ["Float16Array", "float16"],
  ["Float32Array", "float32"],
  ["Float64Array", "float64"],
  ["BigInt64Array", "int64"],
  ["BigUint64Array", "uint64"],
]);

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get;

/** The dtype whose elements this array holds without further word; undefined for anything but a typed array. */
export function naturalDType(array: unknown): DType | undefined {
  // The tag of the prototype's getter holds for subclasses and for arrays of other realms as well.
  const tag: unknown = typedArrayTag?.call(array);
  return typeof tag === "string" ? natural.get(tag) : undefined;
}
