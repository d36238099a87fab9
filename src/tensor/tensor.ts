/** Tensors: dtype, shape and strides over a typed array, which is often a view into a mapped file. */

import { inspect } from "node:util";
import { compact, gatherRows, summarise, type Summary as TensorSummary } from "../native/tensor.ts";
import { badArgument } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { checkArrayLength } from "../shared/largest-array.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { type DType, dtypeFacts, naturalDType, type Scalar, type TypedArray } from "./dtype.ts";
import { Elements, notReady } from "./elements.ts";
import { fromFloat8 } from "./float8.ts";
import { fromBfloat16, fromFloat16 } from "./float16.ts";
import { columnMajorStrides, elementCount, extent, isRowMajor, rowMajorStrides } from "./layout.ts";
import { asIndices, boundOf, checkIndex } from "./ranges.ts";

/** What a tensor over an array is told of it. */
export interface TensorOptions {
  /** Needed where the array alone does not say: "float16" and "bfloat16" over a Uint16Array, "bool" and 8-bit floats over a Uint8Array, complex numbers over a float array, two values each. */
  readonly dtype?: DType;
  /** How the elements lie in `data`: row by row ("C", the default) or column by column ("F"). */
  readonly order?: "C" | "F";
}

const OPTIONS: OptionNames<TensorOptions> = { dtype: true, order: true };
const RANGE = { start: true, end: true } as const;

/** How files are loaded. */
export interface LoadOptions {
  /**
   * Map the file where its format permits (npy, npz, safetensors, pt; from 64 KiB on) instead of reading it.
   * Default: true. Loading then costs microseconds whatever the size, and tensors are views on the file. Checksums
   * inside the file are not compared, because that would read all of it; and where another program rewrites the
   * file in place, tensors may change. With false the whole file is read, checked and safe from both.
   */
  readonly map?: boolean;
}

export type { TensorSummary };

/** Loads the one tensor of a file. */
type Opener = (path: string, options: LoadOptions) => Promise<Tensor>;

let opener: Opener | undefined;

/** Tells how files are opened: by codecs, which lie above this folder and say so when they are loaded. */
export function openWith(open: Opener): void {
  opener = open;
}

/** Where a tensor's elements lie among others: in elements, counted from the first of them. */
interface Placement {
  readonly dtype: DType;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Numbers, or arrays of arrays of them, one level an axis. */
export type NestedArray = Scalar | readonly NestedArray[];

/**
 * An n-dimensional array. `slice` and `row` are views on the same memory and cost well under a microsecond. Bytes
 * that lie in a mapped file are checked when they are first used, not before.
 */
export class Tensor<A extends TypedArray = TypedArray> {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Distance of neighbours along each axis, in elements. */
  readonly strides: readonly number[];
  /** Number of elements. */
  readonly size: number;
  readonly #elements: Elements;
  /** Of the first element, counted in elements. */
  readonly #offset: number;
  #data: A | undefined;

  /**
   * The one tensor in a file of any format that `loadFile` knows. Rejects with ERR_QUIVER_NOT_FOUND, with
   * ERR_QUIVER_CORRUPT when the file is damaged, with ERR_QUIVER_BAD_VALUE when it holds not exactly one tensor.
   */
  static async open(path: string, options: LoadOptions = {}): Promise<Tensor> {
    if (opener === undefined) throw new QuiverError("ERR_QUIVER_INTERNAL", "no codecs are loaded");
    return opener(path, options);
  }

  /**
   * A tensor over `data`, which is kept, not copied. `shape` defaults to one axis over all elements.
   * Throws ERR_QUIVER_BAD_VALUE when dtype, shape and array don't fit each other.
   */
  constructor(data: A | Elements, shape?: readonly number[], options: TensorOptions | Placement = {}) {
    if (data instanceof Elements) {
      const placement = options as Placement;
      this.dtype = placement.dtype;
      this.shape = shape as readonly number[];
      this.strides = placement.strides;
      this.#elements = data;
      this.#offset = placement.offset;
    } else {
      checkOptions(options, OPTIONS);
      if (shape !== undefined && !Array.isArray(shape))
        throw badArgument("shape", shape, "a list of lengths");
      const { values, dtype } = elementsOf(data, options.dtype);
      const { components } = dtypeFacts(dtype);
      this.dtype = dtype;
      this.shape = shape === undefined ? [values.length / components] : [...shape];
      if (elementCount(this.shape) * components !== values.length) {
        throw new QuiverError(
          "ERR_QUIVER_BAD_VALUE",
          `shape [${this.shape.join(", ")}] of ${dtype} needs ${elementCount(this.shape) * components} values, the array has ${values.length}`,
        );
      }
      const columns = (options as TensorOptions).order === "F";
      this.strides = columns ? columnMajorStrides(this.shape) : rowMajorStrides(this.shape);
      this.#elements = new Elements(values);
      this.#offset = 0;
    }
    let size = 1;
    for (let axis = 0; axis < this.shape.length; axis++) size *= this.shape[axis] as number;
    this.size = size;
  }

  /** Bytes of the elements, without the gaps that a strided view may have. */
  get byteLength(): number {
    return this.size * dtypeFacts(this.dtype).itemSize;
  }

  /** The elements lie in a mapped file. Writing to them changes neither the file nor what other processes see. */
  get isView(): boolean {
    return this.#elements.mapped;
  }

  /** The elements lie row by row without gaps, so that `data` is a view and not a copy. */
  get isContiguous(): boolean {
    return isRowMajor(this.shape, this.strides);
  }

  /**
   * The elements row by row. A view where they lie so, else a copy made at the first use and kept. Mapped bytes
   * are checked at the first use, up to 8 MiB; beyond that ERR_QUIVER_NOT_READY asks for `ready()`.
   * Throws ERR_QUIVER_CHECKSUM_MISMATCH when the file is damaged.
   */
  get data(): A {
    if (this.#data === undefined) this.#data = (this.isContiguous ? this.memory : this.#compact()) as A;
    else this.#elements.recheck();
    return this.#data;
  }

  /** The elements as they lie in memory, from the first to the last, gaps included; `strides` say which is which. Checked like `data`. */
  get memory(): A {
    const { itemSize, components } = dtypeFacts(this.dtype);
    const length = extent(this.shape, this.strides);
    this.#elements.verify(this.#offset * itemSize, (this.#offset + length) * itemSize);
    const start = this.#offset * components;
    return this.#elements.part(start, start + length * components) as A;
  }

  /**
   * Checks the bytes of a mapped tensor and reads ahead, off the main thread. `range` names rows along the first
   * axis. Resolves to the tensor; rejects with ERR_QUIVER_CHECKSUM_MISMATCH.
   */
  async ready(range: { readonly start?: number; readonly end?: number } = {}): Promise<this> {
    checkOptions(range, RANGE, "range");
    const part =
      range.start === undefined && range.end === undefined ? this : this.slice(range.start, range.end);
    const { itemSize } = dtypeFacts(this.dtype);
    const start = part.#offset * itemSize;
    await this.#elements.ready(start, start + extent(part.shape, part.strides) * itemSize);
    return this;
  }

  /** Rows `[start, end)` along the first axis as a view; never copies. Bounds count as in `Array.prototype.slice`. */
  slice(start = 0, end: number = Number.POSITIVE_INFINITY): Tensor<A> {
    const rows = this.#rows();
    const from = boundOf(start, rows);
    const shape = this.shape.slice();
    shape[0] = Math.max(boundOf(end, rows) - from, 0);
    return new Tensor<A>(this.#elements, shape, {
      dtype: this.dtype,
      strides: this.strides,
      offset: this.#offset + (shape[0] === 0 ? 0 : from * (this.strides[0] as number)),
    });
  }

  /** Row `index` along the first axis as a view with one axis less; never copies. Throws ERR_QUIVER_OUT_OF_RANGE. */
  row(index: number): Tensor<A> {
    const rows = this.#rows();
    checkIndex(index, rows);
    return new Tensor<A>(this.#elements, this.shape.slice(1), {
      dtype: this.dtype,
      strides: this.strides.slice(1),
      offset: this.#offset + index * (this.strides[0] as number),
    });
  }

  /**
   * Copies the rows named by `indices`, in that order, into one contiguous tensor: `out`, or a new one. `out` must
   * have this dtype, one row an index, lie row by row and not overlap this tensor. A new one of megabytes takes longer
   * to come by than to fill, so who gathers often passes `out`. Throws ERR_QUIVER_OUT_OF_RANGE before anything is copied.
   */
  gather(indices: ArrayLike<number>, out?: Tensor<A>): Tensor<A> {
    const rows = this.#rows();
    const picked = asIndices(indices, rows);
    const shape = [picked.length, ...this.shape.slice(1)];
    const result = out ?? this.#fresh(shape);
    if (out !== undefined) checkOutput(out, this.dtype, shape);
    const { itemSize } = dtypeFacts(this.dtype);
    this.#verifyRows(picked);
    if (picked.length === 0 || result.size === 0) return result;
    if (isRowMajor(this.shape, this.strides, 1)) {
      const rowBytes = (result.size / picked.length) * itemSize;
      const stride = (this.strides[0] as number) * itemSize;
      gatherRows(this.#bytes(), rows, rowBytes, rows > 1 ? stride : rowBytes, picked, bytesOf(result.data));
    } else {
      for (let i = 0; i < picked.length; i++) {
        this.row(picked[i] as number).#compactInto(bytesOf(result.row(i).data));
      }
    }
    return result;
  }

  /**
   * Extremes, sum and mean of all elements as float64, NaN left out; undefined for complex numbers, which have no order.
   * Reads everything at the speed of memory, on idle processors too, and checks it like `data`: call `ready()` before
   * where that is much.
   */
  summary(): TensorSummary | undefined {
    if (this.dtype === "complex64" || this.dtype === "complex128") return undefined;
    return summarise(bytesOf(this.data), this.dtype);
  }

  /** This tensor when its elements lie row by row, else a compact copy. Checked like `data`. */
  contiguous(): Tensor<A> {
    return this.isContiguous ? this : new Tensor<A>(this.data, this.shape, { dtype: this.dtype });
  }

  /** One element; one index an axis. Throws ERR_QUIVER_OUT_OF_RANGE. */
  at(...indices: readonly number[]): Scalar {
    if (indices.length !== this.shape.length) {
      throw new QuiverError(
        "ERR_QUIVER_OUT_OF_RANGE",
        `${indices.length} indices for a tensor of ${this.shape.length} axes`,
      );
    }
    let position = this.#offset;
    for (let axis = 0; axis < indices.length; axis++) {
      const index = indices[axis] as number;
      const size = this.shape[axis] as number;
      checkIndex(index, size);
      position += index * (this.strides[axis] as number);
    }
    const { itemSize, components } = dtypeFacts(this.dtype);
    this.#elements.verify(position * itemSize, (position + 1) * itemSize);
    const start = position * components;
    return readElement(this.#elements.part(start, start + components), this.dtype, 0);
  }

  /** All elements as nested arrays, outermost axis first; the element itself for a 0-d tensor. */
  toArray(): NestedArray {
    const values = this.memory;
    const build = (axis: number, position: number): NestedArray => {
      if (axis === this.shape.length) return readElement(values, this.dtype, position);
      const stride = this.strides[axis] as number;
      return Array.from({ length: this.shape[axis] as number }, (_, i) =>
        build(axis + 1, position + i * stride),
      );
    };
    return build(0, 0);
  }

  /** Same dtype, same shape, and the same bits in every element: NaN equals itself, 0 and -0 differ. Throws ERR_QUIVER_BAD_VALUE. */
  equals(other: Tensor): boolean {
    checkTensor("what is compared", other);
    if (this.dtype !== other.dtype || this.shape.length !== other.shape.length) return false;
    if (this.shape.some((size, axis) => size !== other.shape[axis])) return false;
    return Buffer.compare(bytesOf(this.data), bytesOf(other.data)) === 0;
  }

  toString(): string {
    return `Tensor(${this.dtype} [${this.shape.join(", ")}]${this.isView ? ", mapped" : ""})`;
  }

  #rows(): number {
    const rows = this.shape[0];
    if (rows === undefined) {
      throw new QuiverError("ERR_QUIVER_OUT_OF_RANGE", "a 0-d tensor has no rows", {
        fix: "Use at() for its element.",
      });
    }
    return rows;
  }

  /** All bytes from the first element to the last, unchecked. */
  #bytes(): Uint8Array {
    const { components } = dtypeFacts(this.dtype);
    const start = this.#offset * components;
    const length = extent(this.shape, this.strides) * components;
    return bytesOf(this.#elements.part(start, start + length));
  }

  #verifyRows(indices: Uint32Array): void {
    if (this.size === 0) return;
    const { itemSize } = dtypeFacts(this.dtype);
    const start = this.#offset * itemSize;
    const step = (this.strides[0] as number) * itemSize;
    if (this.#elements.isReady(start, start + extent(this.shape, this.strides) * itemSize)) return;
    const rowBytes = extent(this.shape.slice(1), this.strides.slice(1)) * itemSize;
    const pending = indices.filter(
      (index) => !this.#elements.isReady(start + index * step, start + index * step + rowBytes),
    );
    if (rowBytes * pending.length > this.#elements.verifyLimit) throw notReady(rowBytes * pending.length);
    for (const index of pending) this.#elements.verify(start + index * step, start + index * step + rowBytes);
  }

  #fresh(shape: readonly number[]): Tensor<A> {
    return new Tensor<A>(allocate(this.dtype, elementCount(shape)) as A, shape, { dtype: this.dtype });
  }

  #compact(): A {
    this.#elements.verify(
      this.#offset * dtypeFacts(this.dtype).itemSize,
      (this.#offset + extent(this.shape, this.strides)) * dtypeFacts(this.dtype).itemSize,
    );
    const values = allocate(this.dtype, this.size);
    this.#compactInto(bytesOf(values));
    return values as A;
  }

  #compactInto(out: Uint8Array): void {
    compact(this.#bytes(), dtypeFacts(this.dtype).itemSize, this.shape, this.strides, out);
  }
}

// Beside the class, because a declaration file cannot name a method by a symbol of another module.
Object.defineProperty(Tensor.prototype, inspect.custom, { value: Tensor.prototype.toString });

/** An array for `count` elements whose contents are whatever lay there; the caller fills all of it. */
export function allocate(dtype: DType, count: number): TypedArray {
  const { array, itemSize, components } = dtypeFacts(dtype);
  const bytes = Buffer.allocUnsafeSlow(count * itemSize);
  return new array(bytes.buffer, bytes.byteOffset, count * components);
}

/** An array's bytes, not copied. Throws ERR_QUIVER_TOO_LARGE: arrays of wider elements may be longer than one of bytes. */
export function bytesOf(array: TypedArray): Uint8Array {
  checkArrayLength(array.byteLength, "a tensor", "Store it in parts: tensor.slice() gives views.");
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function elementsOf(data: TypedArray, wanted: DType | undefined): { values: TypedArray; dtype: DType } {
  const own = naturalDType(data);
  if (own === undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "a tensor is made from a typed array", {
      fix: "Write new Tensor(Float64Array.from(numbers), shape).",
    });
  }
  const dtype = wanted ?? own;
  const { array, components } = dtypeFacts(dtype);
  // Compared by the dtype each array holds naturally, so that arrays of another realm and Float16Array fit as well.
  const stored = own === "float16" ? "uint16" : own;
  const needed = naturalDType(new array(new ArrayBuffer(0)));
  if ((own !== "float16" && stored !== needed) || (own === "float16" && dtype !== "float16")) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", `${dtype} does not fit an array of ${own}`, {
      fix: `Elements of ${dtype} come in an array of ${array.name}${components === 2 ? ", two values an element" : ""}.`,
    });
  }
  if (data.length % components !== 0) {
    throw new QuiverError(
      "ERR_QUIVER_BAD_VALUE",
      `${dtype} takes two values an element, the array has ${data.length}`,
    );
  }
  return { values: new array(data.buffer, data.byteOffset, data.length), dtype };
}

function readElement(values: TypedArray, dtype: DType, position: number): Scalar {
  switch (dtype) {
    case "bool":
      return values[position] !== 0;
    case "float8_e4m3fn":
    case "float8_e4m3fnuz":
    case "float8_e5m2":
    case "float8_e5m2fnuz":
    case "float8_e8m0fnu":
      return fromFloat8(values[position] as number, dtype);
    case "float16":
      return fromFloat16(values[position] as number);
    case "bfloat16":
      return fromBfloat16(values[position] as number);
    case "complex64":
    case "complex128":
      return [values[2 * position] as number, values[2 * position + 1] as number];
    default:
      return values[position] as number | bigint;
  }
}

/** Throws ERR_QUIVER_BAD_VALUE unless `value` is a tensor. */
export function checkTensor(name: string, value: Tensor): void {
  if (!(value instanceof Tensor)) throw badArgument(name, value, "a Tensor");
}

/** Throws ERR_QUIVER_BAD_VALUE unless `out` takes rows of this kind. */
export function checkOutput(out: Tensor, dtype: DType, shape: readonly number[]): void {
  checkTensor("out", out);
  const fits =
    out.dtype === dtype &&
    out.shape.length === shape.length &&
    shape.every((size, i) => size === out.shape[i]);
  if (fits && out.isContiguous) return;
  throw new QuiverError(
    "ERR_QUIVER_BAD_VALUE",
    `out must be a contiguous ${dtype} tensor of shape [${shape.join(", ")}]`,
    {
      hint: `It is ${out.dtype} [${out.shape.join(", ")}]${out.isContiguous ? "" : ", strided"}.`,
    },
  );
}
