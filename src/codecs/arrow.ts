/** Columns of tensors as an Arrow file: `pyarrow.ipc.open_file`, `polars.read_ipc`, `tableFromIPC` in JavaScript. */

import { expandBits } from "../native/datasets.ts";
import { type ArrowColumn, arrowLayout, arrowParse } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { type DType, dtypeFacts } from "../tensor/dtype.ts";
import { elementCount, rowMajorStrides } from "../tensor/layout.ts";
import { allocate, bytesOf, Tensor } from "../tensor/tensor.ts";
import type { Codec, DecodeContext, EncodedValue, EncodeOptions } from "./codec.ts";
import { located, refuseCompression, throwIfAborted } from "./context.ts";
import { isPlainObject, loneSurrogate } from "./values.ts";
import { elementsIn, knownDType, weightOf } from "./views.ts";

/** Columns by name: tensors whose first axis counts the rows, and texts, which are read and not written. */
export type ArrowColumns = Readonly<Record<string, Tensor | readonly (string | null)[]>>;

const MAGIC = "ARROW1";
const ALIGNMENT = 64;

/** Element types that Arrow has as tensors have them. */
const WRITTEN: ReadonlySet<DType> = new Set([
  "float16",
  "float32",
  "float64",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
]);

/**
 * A plain object of tensors with equally many rows, of every dtype but bools, bfloat16, 8-bit floats and complex
 * numbers. Rows are nested lists of fixed sizes. Streams are read too, as Hugging Face datasets have them. A column in
 * one batch is a view; one in several, and bools, are copied.
 */
export const arrow: Codec<ArrowColumns> = {
  name: "arrow",
  extension: "arrow",
  sharing: "shared",
  mappable: true,
  accepts: (value) => isPlainObject(value) && refusalOf(value) === undefined,
  encode,
  decode: (bytes, context) => located(context, () => decode(bytes, context)),
  weight: (value) =>
    Object.values(value).reduce(
      (sum, column) => sum + (column instanceof Tensor ? weightOf(column) : textWeight(column)),
      0,
    ),
};

function textWeight(texts: readonly (string | null)[]): number {
  const EACH = 32;
  return texts.reduce((sum, text) => sum + EACH + 2 * (text?.length ?? 0), 0);
}

/** Whether the first bytes are those of an Arrow file. Streams begin like nothing in particular. */
export function startsLikeArrow(bytes: Uint8Array): boolean {
  return [...MAGIC].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

/** Why an object can't be written; undefined when it can. */
function refusalOf(value: Readonly<Record<string, unknown>>): string | undefined {
  const columns = Object.entries(value);
  if (columns.length === 0) return "an Arrow file needs a column";
  let rows: number | undefined;
  for (const [name, column] of columns) {
    if (!(column instanceof Tensor)) return `column ${name} is no tensor`;
    if (!WRITTEN.has(column.dtype)) return `Arrow files hold no ${column.dtype} tensors (column ${name})`;
    if (column.shape.length === 0) return `column ${name} has no axis that counts rows`;
    if (loneSurrogate(name) >= 0) return `the name ${JSON.stringify(name)} is not well-formed`;
    rows ??= column.shape[0];
    if (column.shape[0] !== rows) return `column ${name} has ${column.shape[0]} rows, another has ${rows}`;
  }
  return undefined;
}

async function encode(value: ArrowColumns, options: EncodeOptions): Promise<EncodedValue> {
  refuseCompression("arrow", options);
  const refusal = isPlainObject(value) ? refusalOf(value) : "Arrow files hold a plain object of columns";
  if (refusal !== undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", refusal, {
      hint: "Columns are tensors with equally many rows.",
      fix: 'Name them: { embeddings: tensor }; for tensors of different lengths use the codec "npz".',
    });
  }
  const columns = Object.entries(value) as [string, Tensor][];
  for (const [, tensor] of columns) {
    throwIfAborted(options.signal);
    if (tensor.isView) await tensor.ready();
  }
  const described = columns.map(([name, { dtype, shape }]) => ({ name, dtype, shape: [...shape], start: 0 }));
  const { head, tail } = arrowLayout(described);
  const data = columns.flatMap(([, tensor]) => {
    const bytes = bytesOf(tensor.data);
    return [bytes, new Uint8Array(-bytes.byteLength & (ALIGNMENT - 1))];
  });
  const parts = [head, ...data, tail].filter((part) => part.byteLength > 0);
  return { parts, byteLength: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

function decode(bytes: Uint8Array, context: DecodeContext): ArrowColumns {
  const columns = arrowParse(bytes);
  checkAround(columns, bytes.byteLength, context);
  const value = columns.map(({ name, dtype, row, parts, texts }) => [
    name,
    dtype === undefined
      ? Object.freeze(texts ?? [])
      : tensorOf(bytes, knownDType(dtype), row, parts, context),
  ]);
  return Object.freeze(Object.fromEntries(value) as ArrowColumns);
}

/** Has all bytes checked that were read already: what lies between the elements of tensors. */
function checkAround(columns: readonly ArrowColumn[], end: number, context: DecodeContext): void {
  const parts = columns.flatMap(({ parts }) => parts).sort(([one], [other]) => one - other);
  let at = 0;
  for (const [start, length] of parts) {
    if (start > at) context.verify?.(at, start);
    at = Math.max(at, start + length);
  }
  if (end > at) context.verify?.(at, end);
}

function tensorOf(
  bytes: Uint8Array,
  dtype: DType,
  row: readonly number[],
  parts: ArrowColumn["parts"],
  context: DecodeContext,
): Tensor {
  const size = elementCount(row);
  const shape = [parts.reduce((sum, [, , , rows]) => sum + rows, 0), ...row];
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && dtype !== "bool") {
    const [start] = only;
    const stored = { dtype, count: elementCount(shape), at: start, start };
    return new Tensor(elementsIn(bytes, stored, context), shape, {
      dtype,
      strides: rowMajorStrides(shape),
      offset: 0,
    });
  }
  const { itemSize } = dtypeFacts(dtype);
  const result = new Tensor(allocate(dtype, elementCount(shape)), shape, { dtype });
  const out = bytesOf(result.data);
  let at = 0;
  for (const [start, length, firstBit, rows] of parts) {
    context.verify?.(start, start + length);
    const data = bytes.subarray(start, start + length);
    const target = out.subarray(at, at + rows * size * itemSize);
    if (dtype === "bool") expandBits(data, firstBit, target);
    else target.set(data);
    at += target.byteLength;
  }
  return result;
}
