/** A column of vectors in a mapped dataset: where its rows lie, as views and copies. */

import { markAsUntransferable } from "node:worker_threads";
import { type BlockOfRows, Dataset } from "../native/vectors.ts";
import { QuiverError } from "../shared/errors.ts";
import { type DType, dtypeFacts, isDType } from "../tensor/dtype.ts";
import { Elements } from "../tensor/elements.ts";
import { rowMajorStrides } from "../tensor/layout.ts";
import { allocate, bytesOf, Tensor } from "../tensor/tensor.ts";

/** Opens a column of a dataset folder. */
export async function openVectors(folder: string, column: string): Promise<VectorColumn> {
  return new VectorColumn(await Dataset.open(folder), column);
}

export class VectorColumn {
  readonly name: string;
  /** Rows. */
  readonly size: number;
  readonly dtype: DType;
  /** Elements of a vector. */
  readonly dimension: number;
  /** Vectors of a row: null for one, a number where all have as many, "ragged" where that varies. */
  readonly chunks: null | number | "ragged";
  readonly #dataset: Dataset;
  readonly #blocks: readonly BlockOfRows[];
  /** One for each file, over all of it. */
  readonly #files = new Map<number, ArrayBuffer>();

  /** Throws ERR_QUIVER_UNSUPPORTED for a column that holds something else than vectors. */
  constructor(dataset: Dataset, name: string) {
    const { kind, dtype, row, blocks } = dataset.column(name);
    const dimension = row.at(-1);
    // Early versions kept rows of [1, chunks, dimension].
    const inner = row.length === 3 && row[0] === 1 ? row.slice(1) : row;
    const fits =
      kind === "ragged" ? inner.length === 1 : kind === "fixed" && (inner.length === 1 || inner.length === 2);
    if (!fits || dimension === undefined || dtype === undefined || !isDType(dtype)) {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `column "${name}" holds no vectors`, {
        hint: `Its rows are of kind ${kind}${row.length > 0 ? ` [${row.join(", ")}]` : ""}.`,
        fix: "Name a column of vectors; the others can be read as a dataset.",
      });
    }
    this.name = name;
    this.size = dataset.rows;
    this.dtype = dtype;
    this.dimension = dimension;
    this.chunks = kind === "ragged" ? "ragged" : inner.length === 1 ? null : (inner[0] as number);
    this.#dataset = dataset;
    this.#blocks = blocks;
  }

  /** Rows `[start, end)`, bounded as in `Array.prototype.slice`: a view where they lie in one batch, else a copy. */
  slice(start: number, end: number): Tensor {
    const from = boundOf(start, this.size);
    const to = Math.max(boundOf(end, this.size), from);
    const shape = this.#rowShape();
    if (from === to) return new Tensor(allocate(this.dtype, 0), [0, ...shape], { dtype: this.dtype });
    const block = this.#blockOf(from);
    if (to <= block.first + block.rows)
      return this.#view(block, (from - block.first) * this.#rowElements(), [to - from, ...shape]);
    return this.gather(Uint32Array.from({ length: to - from }, (_, i) => from + i));
  }

  /** One row as a view. */
  row(index: number): Tensor {
    if (!(Number.isInteger(index) && index >= 0 && index < this.size)) throw outOfRange(index, this.size);
    const block = this.#blockOf(index);
    const local = index - block.first;
    if (this.chunks !== "ragged") return this.#view(block, local * this.#rowElements(), this.#rowShape());
    const [first, length] = this.#itemsOf(block, local);
    return this.#view(block, first * this.dimension, [length, this.dimension]);
  }

  /** Rows by index, copied natively; ragged ones filled up with zeros to the longest. */
  gather(indices: ArrayLike<number>): Tensor {
    const picked = this.#check(indices);
    if (this.chunks === "ragged") {
      const longest = this.#lengths(picked).reduce((most, length) => Math.max(most, length), 0);
      const shape = [picked.length, longest, this.dimension];
      const out = allocate(this.dtype, picked.length * longest * this.dimension);
      this.#dataset.gatherPadded(this.name, picked, longest, bytesOf(out));
      return new Tensor(out, shape, { dtype: this.dtype });
    }
    const shape = this.#rowShape();
    const out = allocate(this.dtype, picked.length * this.#rowElements());
    this.#dataset.gather(this.name, picked, bytesOf(out));
    return new Tensor(out, [picked.length, ...shape], { dtype: this.dtype });
  }

  /** 1 for each real chunk of the rows, 0 for what `gather` fills up; null where rows are one vector. */
  masks(indices: ArrayLike<number>): Tensor<Int8Array> | null {
    if (this.chunks === null) return null;
    const lengths = this.#lengths(this.#check(indices));
    const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
    const masks = new Int8Array(lengths.length * longest);
    lengths.forEach((length, row) => {
      masks.fill(1, row * longest, row * longest + length);
    });
    return new Tensor(masks, [lengths.length, longest]);
  }

  #lengths(indices: Uint32Array): Float64Array {
    if (this.chunks !== "ragged") return new Float64Array(indices.length).fill(this.chunks ?? 1);
    return this.#dataset.lengths(this.name, indices);
  }

  #rowShape(): readonly number[] {
    if (this.chunks === "ragged") {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", "rows of different lengths are no tensor", {
        hint: `The texts of column "${this.name}" have different numbers of vectors.`,
        fix: "Take rows one by one with row(), or filled up with zeros with gather().",
      });
    }
    return this.chunks === null ? [this.dimension] : [this.chunks, this.dimension];
  }

  #rowElements(): number {
    return this.dimension * (typeof this.chunks === "number" ? this.chunks : 1);
  }

  /** A tensor over elements of a block, from number `first` on. */
  #view(block: BlockOfRows, first: number, shape: readonly number[]): Tensor {
    const { array, itemSize, components } = dtypeFacts(this.dtype);
    const buffer = this.#file(block.file);
    if (block.start % itemSize !== 0) {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `column "${this.name}" lies unaligned in its file`, {
        fix: "Write the dataset again; every current program aligns its files.",
      });
    }
    const values = new array(buffer, block.start, (block.bytes / itemSize) * components);
    return new Tensor(new Elements(values, true), shape, {
      dtype: this.dtype,
      strides: rowMajorStrides(shape),
      offset: first,
    });
  }

  /** The first vector of a ragged row among those of its block, and how many it has. */
  #itemsOf(
    { file, offsets, offsetBytes, rows, bytes }: BlockOfRows,
    row: number,
  ): [first: number, length: number] {
    if (offsetBytes === 0) {
      // Within this block all rows are equally long.
      const length = bytes / dtypeFacts(this.dtype).itemSize / this.dimension / rows;
      return [row * length, length];
    }
    const view = new DataView(this.#file(file));
    const at = (index: number): number =>
      offsetBytes === 8
        ? Number(view.getBigInt64(offsets + index * 8, true))
        : view.getInt32(offsets + index * 4, true);
    return [at(row) - at(0), at(row + 1) - at(row)];
  }

  #file(number: number): ArrayBuffer {
    let buffer = this.#files.get(number);
    if (buffer === undefined) {
      buffer = this.#dataset.map(number);
      // Transferred to a worker it would be a silent copy of everything, and empty here.
      markAsUntransferable(buffer);
      this.#files.set(number, buffer);
    }
    return buffer;
  }

  #blockOf(row: number): BlockOfRows {
    let [low, high] = [0, this.#blocks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#blocks[middle] as BlockOfRows).first <= row) low = middle;
      else high = middle - 1;
    }
    return this.#blocks[low] as BlockOfRows;
  }

  #check(indices: ArrayLike<number>): Uint32Array {
    const picked = Uint32Array.from(indices);
    for (let i = 0; i < picked.length; i++) {
      const index = indices[i] as number;
      // An index that does not survive the conversion is negative, fractional or beyond 32 bits.
      if (picked[i] !== index || index >= this.size) throw outOfRange(index, this.size);
    }
    return picked;
  }
}

function boundOf(bound: number, rows: number): number {
  const whole = Math.trunc(bound) || 0;
  return whole < 0 ? Math.max(rows + whole, 0) : Math.min(whole, rows);
}

function outOfRange(index: number, size: number): QuiverError {
  return new QuiverError("ERR_QUIVER_OUT_OF_RANGE", `index ${index} is not a row of this cache of ${size}`, {
    hint: "Rows count from 0 to the size less one.",
    fix: "Correct the index; the cache itself is fine.",
  });
}
