/** A column of a dataset: tensors as views into mapped files, texts as strings. */

import { type DatasetHandle, expandBits, type NativeColumn } from "../native/datasets.ts";
import { QuiverError } from "../shared/errors.ts";
import { type DType, dtypeFacts, isDType } from "../tensor/dtype.ts";
import { Elements } from "../tensor/elements.ts";
import { elementCount, rowMajorStrides } from "../tensor/layout.ts";
import { asIndices, boundOf, checkIndex } from "../tensor/ranges.ts";
import { allocate, bytesOf, checkOutput, Tensor } from "../tensor/tensor.ts";
import { type Block, blockOf, blocksOf } from "./blocks.ts";
import { checkLength, type MappedFiles } from "./files.ts";

const REASONS: Readonly<Record<string, string>> = {
  text: "it holds texts: use text() and texts()",
  jagged: "lists inside its rows have different lengths",
  nulls: "single elements inside its rows are null",
  other: "its Arrow type holds no plain numbers",
};

/**
 * A column. Values stay where they are: `slice` within one block of rows and `row` are views that cost a microsecond.
 * Blocks are the batches of the files; files that Quiver writes are one block each.
 */
export class DatasetColumn {
  readonly name: string;
  /** "string" for texts, null for what can only be copied. */
  readonly dtype: DType | "string" | null;
  /** Rows, then the shape of a row, with null where it differs by row; null for what can only be copied. */
  readonly shape: readonly (number | null)[] | null;
  /** Rows that are null. */
  readonly nulls: number;
  readonly rows: number;
  readonly #kind: string;
  /** Shape of a row; of ragged columns without the first axis. */
  readonly #row: readonly number[];
  readonly #blocks: readonly Block[];
  readonly #files: MappedFiles;
  readonly #handle: DatasetHandle;

  constructor(name: string, native: NativeColumn, handle: DatasetHandle, files: MappedFiles) {
    const { kind, row, nulls, dtype } = native;
    this.name = name;
    this.nulls = nulls;
    this.rows = handle.description.rows;
    this.dtype = kind === "text" ? "string" : dtype !== undefined && isDType(dtype) ? dtype : null;
    const shapes: Readonly<Record<string, readonly (number | null)[]>> = {
      fixed: [this.rows, ...row],
      ragged: [this.rows, null, ...row],
      text: [this.rows],
    };
    this.shape = shapes[kind] ?? null;
    this.#kind = kind;
    this.#row = row;
    this.#blocks = blocksOf(native.blocks);
    this.#files = files;
    this.#handle = handle;
  }

  /**
   * Rows `[start, end)` as one tensor, of columns whose rows have one shape. A view where the rows lie in one block,
   * else one copy; bools are always copied, because Arrow keeps them as bits. Bounds count as in
   * `Array.prototype.slice`. Throws ERR_QUIVER_UNSUPPORTED where rows are null or of different shapes.
   */
  slice(start = 0, end: number = this.rows): Tensor {
    const dtype = this.#fixed();
    this.#refuseNulls();
    const [from, to] = this.#range(start, end);
    const parts = this.#parts(from, to);
    const [only] = parts;
    if (parts.length === 1 && only !== undefined && dtype !== "bool") return only;
    const result = this.#fresh(dtype, [to - from, ...this.#row]);
    const out = bytesOf(result.data);
    let at = 0;
    for (const part of parts) {
      const bytes = bytesOf(part.data);
      out.set(bytes, at);
      at += bytes.byteLength;
    }
    return result;
  }

  /** The same as one tensor a block, none of them copied but bools. */
  views(start = 0, end: number = this.rows): Tensor[] {
    this.#fixed();
    this.#refuseNulls();
    return this.#parts(...this.#range(start, end));
  }

  /** All rows as one tensor: see `slice`. */
  toTensor(): Tensor {
    return this.slice();
  }

  /**
   * Copies the rows named by `indices`, in that order, into one tensor: `out`, or a new one. Indices may repeat.
   * Native, prefetching, several threads from 8 MiB on. Throws ERR_QUIVER_OUT_OF_RANGE before anything is copied.
   */
  gather(indices: ArrayLike<number>, out?: Tensor): Tensor {
    const dtype = this.#fixed();
    this.#refuseNulls();
    const picked = asIndices(indices, this.rows);
    const shape = [picked.length, ...this.#row];
    const result = out ?? this.#fresh(dtype, shape);
    if (out !== undefined) checkOutput(out, dtype, shape);
    this.#handle.gather(this.name, picked, bytesOf(result.data));
    return result;
  }

  /** The same off the main thread, for files that are not in memory yet. */
  async gatherAsync(indices: ArrayLike<number>): Promise<Tensor> {
    const dtype = this.#fixed();
    this.#refuseNulls();
    const picked = asIndices(indices, this.rows);
    const bytes = await this.#handle.gatherLater(this.name, picked);
    const { array, components } = dtypeFacts(dtype);
    const count = elementCount([picked.length, ...this.#row]) * components;
    const values = new array(bytes.buffer, bytes.byteOffset, count);
    return new Tensor(values, [picked.length, ...this.#row], { dtype });
  }

  /**
   * Rows of a ragged column as one dense tensor `[indices, items, …]`: shorter ones filled up with zeros, longer ones
   * cut. `items` defaults to the longest of them; `indices` to all rows.
   */
  padded(indices?: ArrayLike<number>, items?: number): Tensor {
    const dtype = this.#tensors();
    if (this.#kind !== "ragged") throw this.#refusal("all of its rows have one shape: use gather()");
    const picked =
      indices === undefined
        ? Uint32Array.from({ length: this.rows }, (_, i) => i)
        : asIndices(indices, this.rows);
    const longest =
      items ?? this.#handle.lengths(this.name, picked).reduce((most, length) => Math.max(most, length), 0);
    const result = this.#fresh(dtype, [picked.length, longest, ...this.#row]);
    this.#handle.gatherPadded(this.name, picked, longest, bytesOf(result.data));
    return result;
  }

  /** Items along the first axis of the rows named by `indices`, of ragged columns. */
  lengths(indices: ArrayLike<number>): Float64Array {
    if (this.#kind !== "ragged") throw this.#refusal("all of its rows have one shape");
    return this.#handle.lengths(this.name, asIndices(indices, this.rows));
  }

  /** One row as a view (bools: a copy), null where it is null. Plain numbers give a tensor without axes. Throws ERR_QUIVER_OUT_OF_RANGE. */
  row(index: number): Tensor | null {
    const dtype = this.#tensors();
    const block = this.#blockAt(index);
    const row = index - block.first;
    if (this.#files.isNull(block, row)) return null;
    if (this.#kind === "fixed") return this.#view(block, dtype, row * elementCount(this.#row), this.#row);
    const inner = elementCount(this.#row);
    if (block.form === "dense") {
      return this.#view(block, dtype, row * block.items * inner, [block.items, ...this.#row]);
    }
    const [base] = this.#files.bounds(block, 0);
    const [start, end] = this.#files.bounds(block, row);
    return this.#view(block, dtype, (start - base) * inner, [Math.max(end - start, 0), ...this.#row]);
  }

  /** A text, null where it is null. Throws ERR_QUIVER_OUT_OF_RANGE. */
  text(index: number): string | null {
    if (this.#kind !== "text") throw this.#refusal("it holds no texts");
    const block = this.#blockAt(index);
    const row = index - block.first;
    if (this.#files.isNull(block, row)) return null;
    const [start, end] = this.#files.bounds(block, row);
    if (!(start >= 0 && start <= end && end <= block.byteLength)) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", `text ${index} of ${this.name} lies outside of its batch`);
    }
    const { buffer, at } = this.#files.place(block.file, block.start + start, end - start);
    return Buffer.from(buffer, at, end - start).toString("utf8");
  }

  /** Texts `[start, end)`. */
  texts(start = 0, end: number = this.rows): (string | null)[] {
    const [from, to] = this.#range(start, end);
    return Array.from({ length: to - from }, (_, i) => this.text(from + i));
  }

  /** Which rows `[start, end)` are not null, as a bool tensor. */
  mask(start = 0, end: number = this.rows): Tensor {
    const [from, to] = this.#range(start, end);
    const present = new Uint8Array(to - from).fill(1);
    for (const block of this.#blocks) {
      if (block.nulls === 0) continue;
      const last = Math.min(to, block.first + block.rows);
      for (let row = Math.max(from, block.first); row < last; row++) {
        if (this.#files.isNull(block, row - block.first)) present[row - from] = 0;
      }
    }
    return new Tensor(present, [to - from], { dtype: "bool" });
  }

  #parts(from: number, to: number): Tensor[] {
    const dtype = this.#fixed();
    const size = elementCount(this.#row);
    const parts: Tensor[] = [];
    for (let number = blockOf(this.#blocks, from), row = from; row < to; number++) {
      const block = this.#blocks[number] as Block;
      const end = Math.min(to, block.first + block.rows);
      parts.push(this.#view(block, dtype, (row - block.first) * size, [end - row, ...this.#row]));
      row = end;
    }
    return parts;
  }

  /** Elements of a block, from number `first` on. */
  #view(block: Block, dtype: DType, first: number, shape: readonly number[]): Tensor {
    const { array, itemSize } = dtypeFacts(dtype);
    const count = elementCount(shape);
    if (dtype === "bool") {
      const result = this.#fresh(dtype, shape);
      const bits = this.#files.bytes(block.file, block.start, block.byteLength);
      expandBits(bits, block.firstBit + first, bytesOf(result.data));
      return result;
    }
    if ((first + count) * itemSize > block.byteLength) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", `a row of ${this.name} lies outside of its batch`);
    }
    const { buffer, at } = this.#files.place(block.file, block.start + first * itemSize, count * itemSize);
    const aligned = at % array.BYTES_PER_ELEMENT === 0;
    const elements = aligned
      ? new Elements(new array(buffer, at, count), true)
      : new Elements(new array(buffer.slice(at, at + count * itemSize)));
    return new Tensor(elements, shape, { dtype, strides: rowMajorStrides(shape), offset: 0 });
  }

  #fresh(dtype: DType, shape: readonly number[]): Tensor {
    checkLength(elementCount(shape) * dtypeFacts(dtype).itemSize);
    return new Tensor(allocate(dtype, elementCount(shape)), shape, { dtype });
  }

  #blockAt(index: number): Block {
    checkIndex(index, this.rows);
    return this.#blocks[blockOf(this.#blocks, index)] as Block;
  }

  #range(start: number, end: number): [from: number, to: number] {
    const from = boundOf(start, this.rows);
    return [from, Math.max(boundOf(end, this.rows), from)];
  }

  #tensors(): DType {
    if (this.dtype === null || this.dtype === "string") {
      throw this.#refusal(REASONS[this.#kind] ?? "it holds no tensors");
    }
    return this.dtype;
  }

  #fixed(): DType {
    const dtype = this.#tensors();
    if (this.#kind === "ragged") throw this.#refusal("its rows differ in shape: use row() or padded()");
    return dtype;
  }

  #refuseNulls(): void {
    if (this.nulls > 0) {
      throw this.#refusal(`${this.nulls} of its rows are null: use row(), and mask() to find them`);
    }
  }

  #refusal(reason: string): QuiverError {
    return new QuiverError("ERR_QUIVER_UNSUPPORTED", `column ${this.name} can't be used like this`, {
      hint: reason,
      fix: "Use what fits the column's dtype and shape; copies of the folder keep it as it is.",
    });
  }
}
