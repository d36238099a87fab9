/** The add-on's work on embeddings. Arguments are copied within the call; results are the caller's own. */

import { QuiverError } from "../shared/errors.ts";
import { addon } from "./addon.ts";
import { translated, translatedAsync } from "./store.ts";

/** Names of element types that vectors are kept in. */
type DType = "float32" | "float16" | "int8";

/** Vectors of hashed n-grams; throws ERR_QUIVER_BAD_VALUE for dimensions and n-grams that there can't be. */
export class Hasher {
  readonly #hasher: InstanceType<typeof addon.Hasher>;

  constructor(...args: ConstructorParameters<typeof addon.Hasher>) {
    this.#hasher = translated(() => new addon.Hasher(...args));
  }

  /** One vector a text, one after the other; computed on other threads. */
  embed(texts: readonly string[]): Promise<Float32Array> {
    return translatedAsync(() => this.#hasher.embed(texts));
  }
}

/** Bytes of a text's digest. */
export const TEXT_DIGEST = 16;

/** The first half of each text's SHA-256, one after the other. */
export function digestTexts(texts: readonly string[]): Promise<Uint8Array> {
  return translatedAsync(() => addon.digestTexts(texts));
}

/** Removes unfinished folders in `root` that nobody is writing and that are older than a day; how many. */
export function sweepUnfinished(root: string): Promise<number> {
  return translatedAsync(() => addon.sweepUnfinished(root));
}

/** How a folder of vectors is laid out. */
export interface VectorLayout {
  /** Elements of a vector; before it the chunks of a text, where texts have several: 0 where that varies. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Most bytes of a file; of no account where `shards` is given. */
  readonly shardBytes: number;
  /** How many files. */
  readonly shards: number | undefined;
  /** How many texts there will be. */
  readonly texts: number;
  /** Lets an interrupted folder be taken up by a writer of the same key and layout. */
  readonly key: string | undefined;
}

/** A folder of columns `text_id` and `embeddings` being written; calls must come one after the other. */
export class VectorWriter {
  readonly #writer: InstanceType<typeof addon.NativeDatasetWriter>;
  #texts = 0;

  private constructor(writer: InstanceType<typeof addon.NativeDatasetWriter>) {
    this.#writer = writer;
  }

  /** Begins a folder, or goes on with an unfinished one of the same key. */
  static async begin(
    target: string,
    { shape, dtype, shardBytes, shards, texts, key }: VectorLayout,
  ): Promise<VectorWriter> {
    const ragged = shape[0] === 0;
    const columns = [
      { name: "text_id", dtype: "int64", row: [], ragged: false },
      { name: "embeddings", dtype, row: ragged ? shape.slice(1) : [...shape], ragged },
    ];
    const layout = {
      shardBytes,
      rows: texts,
      sync: true,
      ...(shards === undefined ? {} : { shards }),
      ...(key === undefined ? {} : { key }),
    };
    return translatedAsync(async () => {
      const writer = new VectorWriter(new addon.NativeDatasetWriter(columns));
      writer.#texts = await writer.#writer.begin(target, layout);
      return writer;
    });
  }

  /** Texts so far, those of an interrupted run included. */
  get texts(): number {
    return this.#texts;
  }

  /** Appends the vectors of so many texts, as bytes. `lengths` says how many each has where that varies. */
  async append(texts: number, lengths: readonly number[] | undefined, data: Uint8Array): Promise<void> {
    const ids = BigInt64Array.from({ length: texts }, (_, i) => BigInt(this.#texts + i));
    const rows = [
      { data: new Uint8Array(ids.buffer) },
      { data, ...(lengths === undefined ? {} : { lengths: [...lengths] }) },
    ];
    await translatedAsync(() => this.#writer.append(texts, rows));
    this.#texts += texts;
  }

  /** Publishes the folder, with further files, in place of what is there; resolves to its fingerprint. */
  finish(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Promise<string> {
    return translatedAsync(() => this.#writer.finish(true, undefined, files));
  }

  /** Stops writing; what is there stays for a later writer of the same key, unless it is discarded. */
  stop(discard: boolean): Promise<void> {
    return translatedAsync(() => this.#writer.stop(discard));
  }
}

/** Looks for nearest rows in a dataset folder, off the event loop. */
export class Search {
  readonly #search: InstanceType<typeof addon.NativeSearch>;

  constructor(folder: string) {
    this.#search = translated(() => new addon.NativeSearch(folder));
  }

  /** Rows and scores, query by query. */
  nearest(
    ...args: Parameters<InstanceType<typeof addon.NativeSearch>["nearest"]>
  ): Promise<{ readonly rows: Float64Array; readonly scores: Float32Array }> {
    return translatedAsync(() => this.#search.nearest(...args));
  }

  /** How many files were compared with the digests written with them; rejects with ERR_QUIVER_CHECKSUM_MISMATCH. */
  verify(): Promise<number> {
    return translatedAsync(() => this.#search.verify());
  }
}

/** Rows of a column that lie together in one file. */
export interface BlockOfRows {
  readonly file: number;
  /** Number of the first row in the dataset. */
  readonly first: number;
  readonly rows: number;
  /** Where their elements lie in the file, in bytes. */
  readonly start: number;
  readonly bytes: number;
  /** Where offsets lie that tell ragged rows apart, and the bytes of one; 0 bytes where there are none. */
  readonly offsets: number;
  readonly offsetBytes: number;
}

/** Numbers that the add-on describes a block with. */
const BLOCK = 11;

/** A dataset folder as it lies on the disk. */
export class Dataset {
  readonly rows: number;
  readonly columns: readonly string[];
  readonly #dataset: InstanceType<typeof addon.NativeDataset>;

  private constructor(dataset: InstanceType<typeof addon.NativeDataset>) {
    const described = JSON.parse(dataset.describe()) as { rows: number; columns: { name: string }[] };
    this.#dataset = dataset;
    this.rows = described.rows;
    this.columns = described.columns.map(({ name }) => name);
  }

  static async open(folder: string): Promise<Dataset> {
    return translatedAsync(async () => {
      const [split] = await addon.openDataset(folder);
      if (split === undefined)
        throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no dataset at ${folder}`);
      return new Dataset(split.take());
    });
  }

  column(name: string): {
    readonly kind: string;
    readonly dtype: string | undefined;
    readonly row: readonly number[];
    readonly blocks: readonly BlockOfRows[];
  } {
    const { kind, dtype, row, blocks } = translated(() => this.#dataset.column(name));
    const list = Array.from({ length: blocks.length / BLOCK }, (_, number): BlockOfRows => {
      const [file = 0, first = 0, rows = 0, , start = 0, bytes = 0, , offsets = 0, offsetBytes = 0] =
        blocks.subarray(number * BLOCK, (number + 1) * BLOCK);
      return { file, first, rows, start, bytes, offsets, offsetBytes };
    });
    return { kind, dtype, row, blocks: list };
  }

  /** An array buffer over a file; each call makes another. */
  map(file: number): ArrayBuffer {
    return translated(() => this.#dataset.map(file));
  }

  gather(column: string, indices: Uint32Array, out: Uint8Array): void {
    translated(() => this.#dataset.gather(column, indices, out));
  }

  /** Rows of ragged columns, filled up with zeros or cut to `items`. */
  gatherPadded(column: string, indices: Uint32Array, items: number, out: Uint8Array): void {
    translated(() => this.#dataset.gatherPadded(column, indices, items, out));
  }

  /** Items of rows of a ragged column. */
  lengths(column: string, indices: Uint32Array): Float64Array {
    return translated(() => this.#dataset.lengths(column, indices));
  }
}
