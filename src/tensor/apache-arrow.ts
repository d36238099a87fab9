/**
 * Tensors from and to vectors and tables of apache-arrow, without copying. The library is whichever the user has: its
 * objects are known by their shape, and its classes are passed in.
 */

import { expandBits } from "../native/datasets.ts";
import { badArgument, checkObject } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { type DType, dtypeFacts, type TypedArray } from "./dtype.ts";
import { elementCount } from "./layout.ts";
import { allocate, bytesOf, Tensor } from "./tensor.ts";

/** A vector of apache-arrow, as far as it is looked at. */
export interface ArrowVector {
  readonly length: number;
  readonly type: ArrowType;
  /** One for each batch. */
  readonly data: readonly ArrowData[];
}

/** A table or record batch of apache-arrow, as far as it is looked at. */
export interface ArrowTable {
  readonly schema: { readonly fields: readonly { readonly name: string }[] };
  getChild(name: string): ArrowVector | null;
}

interface ArrowType {
  readonly typeId: number;
  readonly bitWidth?: number;
  readonly isSigned?: boolean;
  readonly precision?: number;
  readonly listSize?: number;
  readonly children?: readonly { readonly type: ArrowType }[] | null;
}

interface ArrowData {
  readonly type: ArrowType;
  readonly length: number;
  readonly offset: number;
  readonly nullCount: number;
  readonly values: unknown;
  readonly children: readonly ArrowData[];
}

/** Of apache-arrow what makes vectors and tables: `import * as arrow from "apache-arrow"`. */
export interface ArrowLibrary {
  readonly Vector: abstract new (...args: never) => unknown;
  readonly Table: new (columns: never) => unknown;
  readonly Field: new (name: string, type: never, nullable: boolean) => unknown;
  readonly FixedSizeList: new (size: number, field: never) => unknown;
  makeData(properties: object): unknown;
  makeVector(data: never): unknown;
}

/** Numbers of `Type`, which are those of the format and the same in all versions. */
const INT = 2;
const FLOAT = 3;
const BOOL = 6;
const FIXED_SIZE_LIST = 16;

/** Of floats by `precision`. */
const FLOATS: readonly DType[] = ["float16", "float32", "float64"];

/** Names of the types' classes. */
const CLASSES: Readonly<Partial<Record<DType, string>>> = {
  float16: "Float16",
  float32: "Float32",
  float64: "Float64",
  int8: "Int8",
  int16: "Int16",
  int32: "Int32",
  int64: "Int64",
  uint8: "Uint8",
  uint16: "Uint16",
  uint32: "Uint32",
  uint64: "Uint64",
};

/**
 * The values of a vector as a tensor, those of lists of a fixed size as further axes; the columns of a table by name.
 * Tensors lie in the vector's own memory: what is written to one is seen in the other. Only vectors in several batches
 * and bools are copied. Throws ERR_QUIVER_UNSUPPORTED for other types and where values are null.
 */
export function fromArrow(vector: ArrowVector): Tensor;
export function fromArrow(table: ArrowTable): Readonly<Record<string, Tensor>>;
export function fromArrow(value: ArrowVector | ArrowTable): Tensor | Readonly<Record<string, Tensor>> {
  if (isTable(value)) {
    const columns = value.schema.fields.map(({ name }) => {
      const vector = value.getChild(name);
      if (vector === null) throw refusal(`the table has no column ${name}`);
      return [name, tensorOf(vector, `column ${name}`)] as const;
    });
    return Object.fromEntries(columns);
  }
  if (Array.isArray((value as Partial<ArrowVector> | null)?.data)) return tensorOf(value, "the vector");
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", "this is neither a vector nor a table of apache-arrow");
}

/**
 * A tensor as a vector of the library passed in, its further axes as lists of a fixed size; tensors by name as a table.
 * The vector lies in the tensor's memory, unless its strides are others than row by row; a view into a file is checked
 * first, as by `data`. Throws ERR_QUIVER_UNSUPPORTED for element types that Arrow has not, or not as tensors have them.
 */
export function toArrow<A extends ArrowLibrary>(arrow: A, tensor: Tensor): InstanceType<A["Vector"]>;
export function toArrow<A extends ArrowLibrary>(
  arrow: A,
  tensors: Readonly<Record<string, Tensor>>,
): InstanceType<A["Table"]>;
export function toArrow(arrow: ArrowLibrary, value: Tensor | Readonly<Record<string, Tensor>>): unknown {
  if (typeof arrow?.makeVector !== "function") {
    throw badArgument("arrow", arrow, 'the library: import * as arrow from "apache-arrow"');
  }
  checkObject("what becomes a vector or a table", value, "a Tensor, or an object of them");
  if (value instanceof Tensor) return vectorOf(arrow, value);
  const columns = Object.entries(value).map(([name, tensor]) => [name, vectorOf(arrow, tensor)]);
  return new arrow.Table(Object.fromEntries(columns) as never);
}

function isTable(value: unknown): value is ArrowTable {
  const table = value as Partial<ArrowTable> | null;
  return Array.isArray(table?.schema?.fields) && typeof table?.getChild === "function";
}

/** Elements of one batch of a vector. */
interface Part {
  readonly values: TypedArray;
  /** Of bools, the bit at which the first one is. */
  readonly firstBit: number;
  readonly elements: number;
}

function tensorOf(vector: ArrowVector, what: string): Tensor {
  const { dtype, row } = rowsOf(vector.type, what);
  const shape = [vector.length, ...row];
  const parts = vector.data.filter(({ length }) => length > 0).map((data) => partOf(data, what));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && dtype !== "bool") {
    const { array, itemSize } = dtypeFacts(dtype);
    const values = new array(only.values.buffer, only.values.byteOffset, elementCount(shape));
    if (only.values.byteLength < elementCount(shape) * itemSize) throw refusal(`${what} has too few values`);
    return new Tensor(values, shape, { dtype });
  }
  const result = new Tensor(allocate(dtype, elementCount(shape)), shape, { dtype });
  const out = bytesOf(result.data);
  const { itemSize } = dtypeFacts(dtype);
  let at = 0;
  for (const { values, firstBit, elements } of parts) {
    const target = out.subarray(at, at + elements * itemSize);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (dtype === "bool") expandBits(bytes, firstBit, target);
    else target.set(bytes.subarray(0, target.byteLength));
    at += target.byteLength;
  }
  return result;
}

/** What the values of a type are. */
function rowsOf(type: ArrowType, what: string): { readonly dtype: DType; readonly row: readonly number[] } {
  const row: number[] = [];
  let inner = type;
  while (inner.typeId === FIXED_SIZE_LIST) {
    row.push(inner.listSize ?? 0);
    const child = inner.children?.[0]?.type;
    if (child === undefined) throw refusal(`${what} has lists of nothing`);
    inner = child;
  }
  const dtype = dtypeOf(inner);
  if (dtype === undefined) throw refusal(`${what} holds no numbers in lists of fixed sizes`);
  return { dtype, row };
}

function dtypeOf({ typeId, bitWidth, isSigned, precision }: ArrowType): DType | undefined {
  if (typeId === BOOL) return "bool";
  if (typeId === FLOAT) return FLOATS[precision ?? -1];
  if (typeId === INT) return `${isSigned === false ? "u" : ""}int${bitWidth}` as DType;
  return undefined;
}

function partOf(data: ArrowData, what: string): Part {
  let [inner, elements] = [data, data.length];
  for (;;) {
    if (inner.nullCount > 0) throw refusal(`${what} has ${inner.nullCount} nulls`);
    if (inner.type.typeId !== FIXED_SIZE_LIST) break;
    elements *= inner.type.listSize ?? 0;
    const child = inner.children[0];
    if (child === undefined) throw refusal(`${what} has lists of nothing`);
    inner = child;
  }
  if (!ArrayBuffer.isView(inner.values)) throw refusal(`${what} has no values in memory`);
  return { values: inner.values as TypedArray, firstBit: inner.offset, elements };
}

function vectorOf(arrow: ArrowLibrary, tensor: Tensor): unknown {
  const { dtype, shape } = tensor;
  const name = CLASSES[dtype];
  const type = name === undefined ? undefined : (arrow as unknown as Record<string, unknown>)[name];
  if (typeof type !== "function") throw refusal(`apache-arrow has no vectors of ${dtype} elements`);
  const [length, ...row] = shape;
  if (length === undefined) throw refusal("a tensor without axes is no vector");
  let made = new (type as new () => object)();
  let data = arrow.makeData({ type: made, length: elementCount(shape), nullCount: 0, data: tensor.data });
  row.reduceRight((_, size, axis) => {
    made = new arrow.FixedSizeList(size, new arrow.Field("item", made as never, false) as never) as object;
    const count = elementCount(shape.slice(0, axis + 1));
    data = arrow.makeData({ type: made, length: count, nullCount: 0, child: data });
    return 0;
  }, 0);
  return arrow.makeVector(data as never);
}

function refusal(reason: string): QuiverError {
  return new QuiverError("ERR_QUIVER_UNSUPPORTED", reason, {
    hint: "Tensors and Arrow share numbers without nulls, in lists of fixed sizes.",
    fix: "Convert the column first: cast it, fill its nulls, or take a column of numbers.",
  });
}
