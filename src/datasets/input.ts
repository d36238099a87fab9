/** Columns as they are given to be written: tensors, rows of different lengths, texts. */

import type { ColumnLayout, ColumnRows } from "../native/datasets.ts";
import { QuiverError } from "../shared/errors.ts";
import { dtypeFacts, naturalDType, type TypedArray } from "../tensor/dtype.ts";
import { elementCount } from "../tensor/layout.ts";
import { bytesOf, Tensor } from "../tensor/tensor.ts";

/** A tensor or typed array has a row a position of its first axis; a list has a tensor or a text a row. */
export type ColumnInput = Tensor | TypedArray | readonly Tensor[] | readonly (string | null)[];

/** A column that is going to be written. */
export interface ColumnSource {
  readonly layout: ColumnLayout;
  readonly rows: number;
  /** Bytes that Arrow takes for all rows. */
  readonly bytes: number;
  /** Values or bytes that 32-bit offsets have to count; 0 where there are no offsets. */
  readonly counted: number;
  /** Rows `[start, end)`, checked and in memory. */
  read(start: number, end: number): Promise<ColumnRows>;
}

/** Throws ERR_QUIVER_BAD_VALUE for what is no column. */
export function sourceOf(name: string, input: ColumnInput): ColumnSource {
  if (input instanceof Tensor) return tensorSource(name, input);
  if (naturalDType(input) !== undefined) return tensorSource(name, new Tensor(input as TypedArray));
  if (Array.isArray(input)) {
    const list = input as readonly unknown[];
    if (list.length > 0 && list.every((item) => item instanceof Tensor)) return raggedSource(name, list);
    if (list.every((item) => item === null || typeof item === "string")) return textSource(name, list);
  }
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `column ${name} is nothing that a dataset holds`, {
    hint: "A column is a tensor, a typed array, a list of tensors, or a list of strings and nulls.",
  });
}

function tensorSource(name: string, tensor: Tensor): ColumnSource {
  const [rows, ...row] = tensor.shape;
  if (rows === undefined) {
    throw new QuiverError(
      "ERR_QUIVER_BAD_VALUE",
      `column ${name} is a tensor without axes, which has no rows`,
    );
  }
  const nested = row.length >= 2 && row.length <= 5;
  const lists = nested ? row.reduce((sum, size) => sum * size + 1, 1) : 0;
  return {
    layout: { name, dtype: tensor.dtype, row, ragged: false },
    rows,
    bytes: tensor.byteLength + 4 * rows * lists,
    counted: nested ? tensor.size : 0,
    async read(start, end) {
      const part = await tensor.slice(start, end).ready();
      return { data: bytesOf(part.data) };
    },
  };
}

function raggedSource(name: string, list: readonly Tensor[]): ColumnSource {
  const first = list[0] as Tensor;
  const inner = first.shape.slice(1);
  for (const tensor of list) {
    const fits =
      tensor.dtype === first.dtype &&
      tensor.shape.length === first.shape.length &&
      tensor.shape.length > 0 &&
      inner.every((size, axis) => size === tensor.shape[axis + 1]);
    if (!fits) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `rows of column ${name} don't fit each other`, {
        hint: `The first is ${first}, another ${tensor}; only the first axis may differ.`,
      });
    }
  }
  const elements = list.reduce((sum, tensor) => sum + tensor.size, 0);
  const items = list.reduce((sum, tensor) => sum + (tensor.shape[0] as number), 0);
  return {
    layout: { name, dtype: first.dtype, row: inner, ragged: true },
    rows: list.length,
    bytes: elements * dtypeFacts(first.dtype).itemSize + 4 * (list.length + items * inner.length),
    counted: elements,
    async read(start, end) {
      const part = await Promise.all(list.slice(start, end).map((tensor) => tensor.ready()));
      const lengths = part.map((tensor) => tensor.shape[0] as number);
      const size = elementCount(inner) * dtypeFacts(first.dtype).itemSize;
      const data = new Uint8Array(lengths.reduce((sum, length) => sum + length * size, 0));
      let at = 0;
      for (const tensor of part) {
        data.set(bytesOf(tensor.data), at);
        at += tensor.byteLength;
      }
      return { data, lengths };
    },
  };
}

function textSource(name: string, texts: readonly (string | null)[]): ColumnSource {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), 0);
  return {
    layout: { name, dtype: "string", row: [], ragged: false },
    rows: texts.length,
    bytes: bytes + 4 * texts.length,
    counted: bytes,
    read: async (start, end) => ({ texts: texts.slice(start, end) }),
  };
}
