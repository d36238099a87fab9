/** Hugging Face dataset folders, as `save_to_disk` writes and `load_from_disk` reads them. */

import { DatasetHandle } from "../native/datasets.ts";
import { checkPath, notConstructed, shown } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions } from "../shared/options.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { DatasetColumn } from "./column.ts";
import { MappedFiles } from "./files.ts";
import { handles } from "./handles.ts";
import type { ColumnInput } from "./input.ts";
import { type DatasetWriteOptions, writeDataset } from "./write.ts";

/** Splits by name. */
export type DatasetDict = Readonly<Record<string, Dataset>>;

/** Rows of a batch by column: one tensor, a tensor a row where they differ in shape, or texts. */
export type DatasetBatch = Readonly<
  Record<string, Tensor | readonly (Tensor | null)[] | readonly (string | null)[]>
>;

/**
 * An open dataset folder. Its files are mapped, not read: opening costs some microseconds a file. They may be another
 * program's, so that there are no digests to compare reads with; `verify` compares whole files where there are.
 * What views show stays in place for as long as they are referenced, whatever happens to the folder. A file that
 * somebody cuts short reads as zeros where it is missing; `gather` notices and fails.
 */
export class Dataset {
  readonly path: string;
  readonly rows: number;
  /** Names, in order. */
  readonly columns: readonly string[];
  /** Hugging Face's words for the columns, null when the folder has none. */
  readonly features: Readonly<Record<string, unknown>> | null;
  /** Unique for the contents; null when the folder has none. */
  readonly fingerprint: string | null;
  /** Name of the split, such as "train". */
  readonly split: string | null;
  readonly #handle: DatasetHandle;
  readonly #files: MappedFiles;
  readonly #columns = new Map<string, DatasetColumn>();

  private constructor(handle: DatasetHandle) {
    if (!(handle instanceof DatasetHandle)) throw notConstructed("Dataset", "Dataset.open(path)");
    const { rows, path, columns, features, fingerprint, split } = handle.description;
    this.path = path;
    this.rows = rows;
    this.columns = columns.map(({ name }) => name);
    this.features = features;
    this.fingerprint = fingerprint;
    this.split = split;
    this.#handle = handle;
    this.#files = new MappedFiles(handle);
    handles.set(this, handle);
  }

  /**
   * Opens a folder: a `Dataset`, or a record of them by split where the folder is a DatasetDict, which
   * `Dataset.open<DatasetDict>(path)` declares. Rejects with ERR_QUIVER_NOT_FOUND where there is no dataset, with
   * ERR_QUIVER_CORRUPT for files that are damaged, with ERR_QUIVER_UNSUPPORTED for compressed or dictionary-encoded
   * ones.
   */
  static async open<Kind extends Dataset | DatasetDict = Dataset>(path: string): Promise<Kind> {
    checkPath(path);
    const opened = await DatasetHandle.open(path);
    const [first] = opened;
    if (first !== undefined && first.name === undefined) return new Dataset(first.handle) as Kind;
    const splits = opened.map(({ name, handle }) => [name, new Dataset(handle)] as const);
    return Object.fromEntries(splits) as Kind;
  }

  /**
   * Writes columns as a folder and opens it. Vectors become fixed-size lists, rows with two to five axes Array2D to
   * Array5D, rows of different lengths lists, strings strings. Atomic: what was there before stays until the new
   * folder is complete, on disk and compared with its digests. Each file is one batch, so that it is one view.
   * Rejects with ERR_QUIVER_BAD_VALUE for bfloat16 and complex numbers, which Arrow doesn't have.
   */
  static async write(
    path: string,
    columns: Readonly<Record<string, ColumnInput>>,
    options: DatasetWriteOptions = {},
  ): Promise<Dataset> {
    await writeDataset(path, columns, options);
    return Dataset.open(path);
  }

  /** A column; the first call reads its offsets. Throws ERR_QUIVER_NOT_FOUND. */
  column(name: string): DatasetColumn {
    const known = this.#columns.get(name);
    if (known !== undefined) return known;
    if (!this.columns.includes(name)) {
      throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no column ${shown(name)}`, {
        path: this.path,
        hint: `The dataset has ${this.columns.join(", ")}.`,
        fix: "Name one of these.",
      });
    }
    const column = new DatasetColumn(name, this.#handle.column(name), this.#handle, this.#files);
    this.#columns.set(name, column);
    return column;
  }

  /** Consecutive rows of all columns that can be read, `size` at a time: views where they lie together. */
  *batches(size = 1000): Generator<DatasetBatch> {
    if (!(Number.isInteger(size) && size > 0)) {
      throw badOption("the size of a batch", size, "a number of rows");
    }
    const columns = this.columns.map((name) => this.column(name)).filter((column) => column.dtype !== null);
    for (let start = 0; start < this.rows; start += size) {
      const end = Math.min(this.rows, start + size);
      yield Object.fromEntries(columns.map((column) => [column.name, rowsOf(column, start, end)]));
    }
  }

  /**
   * Compares each file with the digest that it was written with; resolves to how many had one. Rejects with
   * ERR_QUIVER_CHECKSUM_MISMATCH.
   */
  async verify(options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    checkOptions(options, { signal: true });
    return this.#handle.verify(options.signal);
  }
}

function rowsOf(
  column: DatasetColumn,
  start: number,
  end: number,
): Tensor | readonly (Tensor | null)[] | readonly (string | null)[] {
  if (column.dtype === "string") return column.texts(start, end);
  if (column.nulls === 0 && column.shape?.[1] !== null) return column.slice(start, end);
  return Array.from({ length: end - start }, (_, i) => column.row(start + i));
}
