/** A column of vectors: one for each row, or several. */

import type { DatasetColumn } from "../datasets/column.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { QuiverError } from "../shared/errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { asIndices } from "../tensor/ranges.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Where texts are filled up to equally many vectors: which of them are real. */
export const MASKS = "masks";

export class VectorColumn {
  readonly name: string;
  /** Rows. */
  readonly size: number;
  readonly dtype: DType;
  /** Elements of a vector. */
  readonly dimension: number;
  /** Vectors of a row: null for one, a number where all have as many, "ragged" where that varies. */
  readonly chunks: null | number | "ragged";
  readonly #column: DatasetColumn;
  readonly #masks: DatasetColumn | undefined;
  /** Early versions kept rows of [1, chunks, dimension]. */
  readonly #isNested: boolean;

  /** Throws ERR_QUIVER_UNSUPPORTED for a column that holds something else than vectors. */
  constructor(dataset: Dataset, name: string) {
    const column = dataset.column(name);
    const { dtype, shape } = column;
    const row = shape?.slice(1) ?? [];
    const isNested = row.length === 3 && row[0] === 1;
    const inner = isNested ? row.slice(1) : row;
    const dimension = inner.at(-1);
    if (inner.length > 2 || typeof dimension !== "number" || dtype === null || dtype === "string") {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `column "${name}" holds no vectors`, {
        hint: `Its elements are ${dtype ?? "of another kind"}, its shape is [${shape?.join(", ") ?? ""}].`,
        fix: "Name a column of vectors; the others can be read with Dataset.open.",
      });
    }
    this.name = name;
    this.size = dataset.rows;
    this.dtype = dtype;
    this.dimension = dimension;
    this.chunks = inner.length === 1 ? null : (inner[0] ?? "ragged");
    this.#column = column;
    const masks = dataset.columns.includes(MASKS) ? dataset.column(MASKS) : undefined;
    const fits = masks?.dtype === "int8" || masks?.dtype === "bool";
    this.#masks = fits && masks.shape?.[1] === this.chunks ? masks : undefined;
    this.#isNested = isNested;
  }

  /** Whether rows were filled up, or cut, to as many vectors. */
  get isPadded(): boolean {
    return this.#masks !== undefined;
  }

  /** Rows `[start, end)`, bounded as in `Array.prototype.slice`: a view where they lie in one batch, else a copy. */
  slice(start: number, end: number): Tensor {
    return this.#flat(this.#column.slice(start, end), 1);
  }

  /** One row as a view. */
  row(index: number): Tensor {
    const row = this.#column.row(index);
    if (row !== null) return this.#flat(row, 0);
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `row ${index} of "${this.name}" is null`);
  }

  /** Rows by index, copied natively, into `out` if it is given; ragged ones filled up with zeros to the longest. */
  gather(indices: ArrayLike<number>, out?: Tensor): Tensor {
    if (out !== undefined && (this.chunks === "ragged" || this.#isNested)) {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", "rows of this column can't be gathered into a tensor", {
        hint: `They have ${this.#isNested ? "an axis that is left out" : "different numbers of vectors"}.`,
        fix: "Call gather() without out.",
      });
    }
    if (this.chunks === "ragged") return this.#column.padded(indices);
    return this.#flat(this.#column.gather(indices, out), 1);
  }

  /** Which vectors of the rows are real, 1 or 0, as `gather` gives them; null where rows are one vector. */
  masks(indices: ArrayLike<number>): Tensor<Int8Array> | null {
    if (this.chunks === null) return null;
    if (this.#masks !== undefined) {
      const { data, shape } = this.#masks.gather(indices);
      return new Tensor(Int8Array.from(data as Int8Array), shape);
    }
    const lengths =
      this.chunks === "ragged"
        ? this.#column.lengths(indices)
        : new Float64Array(asIndices(indices, this.#column.rows).length).fill(this.chunks);
    const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
    const masks = new Int8Array(lengths.length * longest);
    lengths.forEach((length, row) => {
      masks.fill(1, row * longest, row * longest + length);
    });
    return new Tensor(masks, [lengths.length, longest]);
  }

  /** Without the axis of length 1 at `axis`, where rows have one. */
  #flat(tensor: Tensor, axis: number): Tensor {
    if (!this.#isNested) return tensor;
    const shape = tensor.shape.filter((_, i) => i !== axis);
    return new Tensor(tensor.data, shape, { dtype: tensor.dtype });
  }
}
