/** Vector caches: embeddings computed once, kept as Hugging Face dataset folders, read where they are mapped. */

import { readFile } from "node:fs/promises";
import * as read from "../cache/option-readers.ts";
import { Dataset } from "../datasets/dataset.ts";
import { handleOf } from "../datasets/handles.ts";
import { badArgument, notConstructed } from "../shared/arguments.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { ioError } from "../shared/file-system.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { Tensor } from "../tensor/tensor.ts";
import { createFolder, TEXT } from "./creation.ts";
import { checkVectors, elementsOf } from "./embedded.ts";
import { type ExtendOptions, extendFolder } from "./extension.ts";
import {
  type Folder,
  findFolder,
  listFolders,
  listUnfinished,
  METADATA,
  removeFolder,
  rootOf,
} from "./folders.ts";
import { corrupted, parseMetadata, type VectorMetadata } from "./metadata.ts";
import type { CreateOptions } from "./options.ts";
import { VectorColumn } from "./vector-column.ts";
import type { Vectorizer } from "./vectorizers/vectorizer.ts";

/** Where caches lie. */
export interface RootOptions {
  /** Folder of the caches. Default: ".vmcache". */
  readonly root?: string;
}

/** Options of `load`. */
export interface VectorLoadOptions extends RootOptions {
  /** Of several columns of vectors the one to read. Default: the last one made. */
  readonly column?: string;
}

const ROOT_OPTIONS: OptionNames<RootOptions> = { root: true };
const LOAD_OPTIONS: OptionNames<VectorLoadOptions> = { ...ROOT_OPTIONS, column: true };

/** What elements stand for that are not quantised. */
const EXACT = { scale: 1, zeroPoint: 0 };

/** What `info` says of a cache. */
export interface VectorCacheInfo {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly dimension: number;
  readonly dtype: string;
  /** Vectors of a text: null for one, a number where all have as many, "ragged" where that varies. */
  readonly chunks: null | number | "ragged";
  readonly columns: readonly string[];
  /** Data files, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  readonly model: string | null;
  readonly createdAt: Date | null;
}

/** Options of `nearest`. */
export interface NearestOptions {
  /** How many rows to find. Default: 10. */
  readonly k?: number;
  /** Default: "cosine". Of "euclidean" the score is the distance, and the least are nearest. */
  readonly metric?: "cosine" | "dot" | "euclidean";
  /** Turns queries that are texts into vectors; must be the model of the cache. */
  readonly vectorizer?: Vectorizer;
  readonly signal?: AbortSignal;
}

const NEAREST_OPTIONS: OptionNames<NearestOptions> = {
  k: true,
  metric: true,
  vectorizer: true,
  signal: true,
};

/** A row that was found. */
export interface Neighbor {
  readonly row: number;
  readonly score: number;
}

/** A query: a text, one vector, or a tensor of vectors. */
export type Query = string | Float32Array | readonly number[] | Tensor;

/**
 * An open vector cache. Its files are mapped; nothing is read before it is used, and what `slice` and `row` give are
 * views. Indices count from 0; one that names no row is ERR_QUIVER_OUT_OF_RANGE.
 */
export class VectorCache {
  readonly name: string;
  readonly path: string;
  /** How many texts there are. */
  readonly size: number;
  /** Names of all columns of the dataset. */
  readonly columns: readonly string[];
  /** null for a dataset folder without metadata.json. */
  readonly metadata: VectorMetadata | null;
  /** The column of vectors. */
  readonly column: string;
  readonly #folder: Folder;
  readonly #dataset: Dataset;
  readonly #vectors: VectorColumn;

  private constructor(
    folder: Folder,
    dataset: Dataset,
    metadata: VectorMetadata | null,
    vectors: VectorColumn,
  ) {
    if (!(vectors instanceof VectorColumn)) throw notConstructed("VectorCache", "VectorCache.load(name)");
    this.name = folder.name;
    this.path = folder.path;
    this.#folder = folder;
    this.#dataset = dataset;
    this.size = dataset.rows;
    this.columns = dataset.columns;
    this.metadata = metadata;
    this.column = vectors.name;
    this.#vectors = vectors;
  }

  /**
   * Embeds texts batch by batch and keeps the vectors as a folder `name` that Python's `datasets` loads. Nothing is
   * seen under the name before all is there and verified; a cache that had it is replaced. Memory holds a few batches
   * of vectors, whatever the number of texts. Equal texts are embedded once, and not at all where another cache of
   * the same model has them. The same call goes on where an interrupted one stopped.
   *
   * Rejects with ERR_QUIVER_BAD_OPTION, ERR_QUIVER_VECTORIZER, ERR_QUIVER_ABORTED, or what the disk refused.
   */
  static async create(options: CreateOptions): Promise<VectorCache> {
    return VectorCache.load(await createFolder(options));
  }

  /**
   * Opens a cache by its name under the root, or by the path of its folder. Costs a millisecond, whatever the size.
   *
   * Rejects with ERR_QUIVER_NOT_FOUND, and ERR_QUIVER_CORRUPT for a folder that is incomplete or contradicts itself.
   */
  static async load(nameOrPath: string, options: VectorLoadOptions = {}): Promise<VectorCache> {
    checkOptions(options, LOAD_OPTIONS);
    const { column } = options;
    const folder = findFolder(nameOrPath, rootOf(options));
    const dataset = await Dataset.open(folder.data).catch((error: unknown) => {
      throw loadFailure(folder.name, error);
    });
    const metadata = await readMetadata(folder, dataset.columns);
    if (metadata !== null && metadata.size !== null && metadata.size !== dataset.rows) {
      throw corrupted(folder.name, `it has ${dataset.rows} rows, and ${METADATA} says ${metadata.size}`);
    }
    const missing = metadata && [...metadata.columns.keys()].find((name) => !dataset.columns.includes(name));
    if (missing) throw corrupted(folder.name, `it has no column "${missing}", which ${METADATA} names`);
    const known = [...(metadata?.columns.keys() ?? [])];
    const wanted =
      column ?? known.at(-1) ?? ["embeddings", "embedding"].find((name) => dataset.columns.includes(name));
    if (wanted === undefined || !dataset.columns.includes(wanted)) {
      throw new QuiverError(
        "ERR_QUIVER_NOT_FOUND",
        `"${folder.name}" has no column ${wanted ? `"${wanted}"` : "of vectors"}`,
        {
          path: folder.path,
          hint: `Its columns are ${dataset.columns.join(", ")}.`,
          fix: "Name one of them: VectorCache.load(name, { column })",
        },
      );
    }
    return new VectorCache(folder, dataset, metadata, new VectorColumn(dataset, wanted));
  }

  /** Names of the caches under a root, sorted. */
  static async list(options: RootOptions = {}): Promise<string[]> {
    checkOptions(options, ROOT_OPTIONS);
    return listFolders(rootOf(options));
  }

  /** Names of caches whose creation was interrupted or is under way, sorted. */
  static async unfinished(options: RootOptions = {}): Promise<string[]> {
    checkOptions(options, ROOT_OPTIONS);
    return listUnfinished(rootOf(options));
  }

  /** Removes a cache; whether there was one. Who has it open keeps it. */
  static async delete(name: string, options: RootOptions = {}): Promise<boolean> {
    checkOptions(options, ROOT_OPTIONS);
    return removeFolder(name, rootOf(options));
  }

  /** Elements of a vector. */
  get dimension(): number {
    return this.#vectors.dimension;
  }

  get dtype(): string {
    return this.#vectors.dtype;
  }

  /** [size, dimension], or [size, chunks, dimension]; chunks are null where they vary by text. */
  get shape(): readonly (number | null)[] {
    const { chunks } = this.#vectors;
    const inner = chunks === null ? [] : [chunks === "ragged" ? null : chunks];
    return [this.size, ...inner, this.dimension];
  }

  /** Rows `[start, end)` as one tensor: a view where they lie in one batch of one file, else a copy. */
  slice(start = 0, end: number = this.size): Tensor {
    return this.#vectors.slice(start, end);
  }

  /** The vector of one text, or its vectors [chunks, dimension]; a view. */
  row(index: number): Tensor {
    return this.#vectors.row(index);
  }

  /**
   * Rows in the order of the indices, which may repeat, copied natively into one tensor: `out`, or a new one. To fill the
   * same tensor again and again takes half the time: new memory costs as much as the copy.
   */
  gather(indices: ArrayLike<number>, out?: Tensor): Tensor {
    return this.#vectors.gather(indices, out);
  }

  /** All rows, or those of the indices. */
  getEmbeddings(indices?: ArrayLike<number>): Tensor {
    return indices === undefined ? this.slice() : this.gather(indices);
  }

  /** Which chunks of the rows are real, 1 or 0, as [rows, most chunks]; null where each text has one vector. */
  masks(indices: ArrayLike<number> = range(0, this.size)): Tensor<Int8Array> | null {
    return this.#vectors.masks(indices);
  }

  /** All rows in order, `size` at a time, as `slice` gives them. */
  *batches(size: number): Generator<Tensor> {
    if (read.count(size, "size") === 0) throw badOption("size", size, "a whole number above 0");
    for (let start = 0; start < this.size; start += size) {
      yield this.slice(start, Math.min(start + size, this.size));
    }
  }

  /**
   * The rows nearest to a query, nearest first; for a tensor of several vectors a list each. Every row is compared,
   * off the event loop, as fast as memory is read. Of equal scores the lower row comes first.
   *
   * Rejects with ERR_QUIVER_BAD_VALUE for a query of another dimension, ERR_QUIVER_UNSUPPORTED where texts have
   * several vectors, and some milliseconds after the signal with ERR_QUIVER_ABORTED.
   */
  async nearest(query: Tensor, options?: NearestOptions): Promise<Neighbor[] | Neighbor[][]>;
  async nearest(
    query: string | Float32Array | readonly number[],
    options?: NearestOptions,
  ): Promise<Neighbor[]>;
  async nearest(query: Query, options: NearestOptions = {}): Promise<Neighbor[] | Neighbor[][]> {
    checkOptions(options, NEAREST_OPTIONS);
    const { k = 10, metric = "cosine" } = options;
    const vectors = await this.#queryVectors(query, options);
    if (vectors.length % this.dimension !== 0 || vectors.length === 0) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_VALUE",
        `a query of ${vectors.length} elements for vectors of ${this.dimension}`,
        {
          hint: "A query is a vector of the cache's dimension, or several of them as a tensor.",
          fix: "Embed the query with the model that the cache was made with.",
        },
      );
    }
    const { scale, zeroPoint } = this.metadata?.columns.get(this.column)?.quantization ?? EXACT;
    const search = {
      column: this.column,
      queries: vectors,
      k: read.count(k, "k"),
      metric: read.oneOf("cosine", "dot", "euclidean")(metric, "metric"),
      scale,
      zeroPoint,
    };
    const { rows, scores } = await handleOf(this.#dataset).nearest(search, options.signal);
    const queries = vectors.length / this.dimension;
    const each = rows.length / queries;
    const lists = Array.from({ length: queries }, (_, number) =>
      Array.from({ length: each }, (_, i): Neighbor => {
        const at = number * each + i;
        return { row: rows[at] as number, score: scores[at] as number };
      }),
    );
    return query instanceof Tensor && query.shape.length > 1 ? lists : (lists[0] ?? []);
  }

  /** The text of a row, where the cache keeps texts; null otherwise. */
  text(index: number): string | null {
    return this.columns.includes(TEXT) ? this.#dataset.column(TEXT).text(index) : null;
  }

  /**
   * Adds a column of vectors, those of another model for the same texts, or more texts. The result is another folder,
   * complete before it takes this one's place or, with a `name`, one of its own; this object goes on showing the old
   * one. Old columns are copied as they are; texts that are there are not embedded again, unless their vectors are
   * filled up.
   *
   * Rejects as `create` does, with ERR_QUIVER_CHECKSUM_MISMATCH where this folder's files are damaged, with
   * ERR_QUIVER_BAD_VALUE for texts that are not those of the rows, and with ERR_QUIVER_UNSUPPORTED where the texts are
   * needed and neither kept nor given.
   */
  async extend(options: ExtendOptions): Promise<VectorCache> {
    const [dataset, vectors] = [this.#dataset, this.#vectors];
    const path = await extendFolder(
      { folder: this.#folder, dataset, metadata: this.metadata, vectors },
      options,
    );
    return VectorCache.load(path);
  }

  /**
   * Compares the files with the digests written with them. Resolves to how many have one. Rejects with
   * ERR_QUIVER_CHECKSUM_MISMATCH.
   */
  async verify(options: { readonly signal?: AbortSignal } = {}): Promise<{ readonly compared: number }> {
    checkOptions(options, { signal: true });
    return { compared: await this.#dataset.verify(options) };
  }

  /** What there is to know without reading vectors. */
  info(): VectorCacheInfo {
    const { name, path, size, dimension, dtype, columns } = this;
    const { files } = handleOf(this.#dataset).description;
    return {
      name,
      path,
      size,
      dimension,
      dtype,
      chunks: this.#vectors.chunks,
      columns,
      files: files.length,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      model: this.metadata?.columns.get(this.column)?.model ?? null,
      createdAt: this.metadata?.createdAt ?? null,
    };
  }

  async #queryVectors(query: Query, { vectorizer, signal }: NearestOptions): Promise<Float32Array> {
    if (typeof query !== "string") {
      if (!(query instanceof Tensor)) {
        if (isNumbers(query)) return Float32Array.from(query);
        throw badArgument("query", query, "a Tensor, a Float32Array, a list of numbers or a text");
      }
      const several = query.shape.length > 1;
      return elementsOf(checkVectors(several ? query : [query], several ? (query.shape[0] ?? 0) : 1));
    }
    if (vectorizer === undefined)
      throw badOption("vectorizer", vectorizer, "given with a query that is a text");
    const model = this.metadata?.columns.get(this.column)?.model ?? null;
    if (model !== null && model !== vectorizer.model) {
      throw badOption("vectorizer", vectorizer.model, `the model of the cache, ${JSON.stringify(model)}`);
    }
    const vectors = await vectorizer.embed([query], signal === undefined ? {} : { signal });
    return elementsOf(checkVectors(vectors, 1));
  }
}

function isNumbers(query: unknown): boolean {
  return query instanceof Float32Array || (Array.isArray(query) && query.every((x) => typeof x === "number"));
}

function loadFailure(name: string, error: unknown): unknown {
  if (!isQuiverError(error)) return error;
  return new QuiverError(error.code, `loading the vector cache "${name}" failed: ${error.message}`, {
    path: error.path,
    hint: "Its files are damaged, or something else wrote them.",
    fix: "Create the cache again; look at the permissions of its files if that does not help.",
    cause: error,
  });
}

async function readMetadata(folder: Folder, columns: readonly string[]): Promise<VectorMetadata | null> {
  let text: string;
  try {
    text = await readFile(`${folder.path}/${METADATA}`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw ioError(error, folder.path);
  }
  return parseMetadata(text, folder.name, columns);
}

function range(start: number, end: number): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, i) => start + i);
}
