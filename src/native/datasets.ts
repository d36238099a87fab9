/** The add-on's datasets: failures become QuiverErrors, descriptions become objects. */

import { addon } from "./addon.ts";
import type {
  Begun,
  ColumnLayout,
  ColumnRows,
  ExtraFile,
  FolderLayout,
  NativeColumn,
  NativeNeighbours,
} from "./generated.ts";
import { translated, translatedAsync } from "./store.ts";

export type {
  Begun,
  ColumnLayout,
  ColumnRows,
  ExtraFile,
  FolderLayout,
  NativeColumn,
  NativeNeighbours,
} from "./generated.ts";

/** What is known of a dataset when it is opened. */
export interface DatasetDescription {
  readonly rows: number;
  readonly path: string;
  /** Names and Arrow types. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Hugging Face's words for the columns. */
  readonly features: Readonly<Record<string, unknown>> | null;
  readonly fingerprint: string | null;
  readonly split: string | null;
  readonly files: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
}

/** What rows are looked for. */
export interface NearestSearch {
  readonly column: string;
  /** Vectors, one after the other. */
  readonly queries: Float32Array;
  readonly k: number;
  readonly metric: "cosine" | "dot" | "euclidean";
  /** What int8 elements stand for: `(value - zeroPoint) * scale`. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** An open dataset. Reads a mapping of its own, which no JavaScript can write to. */
export class DatasetHandle {
  readonly description: DatasetDescription;
  readonly #native: InstanceType<typeof addon.NativeDataset>;

  private constructor(native: InstanceType<typeof addon.NativeDataset>) {
    this.#native = native;
    this.description = JSON.parse(native.describe()) as DatasetDescription;
  }

  /** The datasets of a folder by split; one without a name where the folder is a dataset itself. */
  static async open(path: string): Promise<readonly { name: string | undefined; handle: DatasetHandle }[]> {
    const splits = await translatedAsync(() => addon.openDataset(path));
    return splits.map((split) => ({
      name: split.name ?? undefined,
      handle: new DatasetHandle(split.take()),
    }));
  }

  /** Throws ERR_QUIVER_NOT_FOUND, and ERR_QUIVER_CORRUPT for offsets that can't be. */
  column(name: string): NativeColumn {
    return translated(() => this.#native.column(name));
  }

  /** A part of a file as an array buffer, mapped copy-on-write; each call makes another. */
  map(file: number, start: number, length: number): ArrayBuffer {
    return translated(() => this.#native.map(file, start, length));
  }

  gather(name: string, indices: Uint32Array, out: Uint8Array): void {
    translated(() => this.#native.gather(name, indices, out));
  }

  gatherLater(name: string, indices: Uint32Array): Promise<Uint8Array> {
    return translatedAsync(() => this.#native.gatherLater(name, indices));
  }

  lengths(name: string, indices: Uint32Array): Float64Array {
    return translated(() => this.#native.lengths(name, indices));
  }

  gatherPadded(name: string, indices: Uint32Array, items: number, out: Uint8Array): void {
    translated(() => this.#native.gatherPadded(name, indices, items, out));
  }

  verify(signal: AbortSignal | undefined): Promise<number> {
    return stoppable(signal, (flag) => this.#native.verify(flag));
  }

  /** Rows of vectors nearest to each query, and their scores, query by query. */
  nearest(search: NearestSearch, signal: AbortSignal | undefined): Promise<NativeNeighbours> {
    const { column, queries, k, metric, scale, zeroPoint } = search;
    return stoppable(signal, (flag) =>
      this.#native.nearest(column, queries, k, metric, [scale, zeroPoint], flag),
    );
  }

  /** A writer of a folder with columns of this dataset, row by row beside new ones. */
  writerBeside(kept: readonly string[], columns: readonly ColumnLayout[]): DatasetWriter {
    return new DatasetWriter(
      translated(() => new addon.NativeDatasetWriter(columns, this.#native, [...kept])),
    );
  }
}

/** A dataset folder being written; calls must come one after the other. */
export class DatasetWriter {
  readonly #native: InstanceType<typeof addon.NativeDatasetWriter>;

  constructor(native: InstanceType<typeof addon.NativeDatasetWriter>) {
    this.#native = native;
  }

  static of(columns: readonly ColumnLayout[]): DatasetWriter {
    return new DatasetWriter(translated(() => new addon.NativeDatasetWriter(columns)));
  }

  /** Resolves to what an interrupted writer of the same key left. */
  begin(path: string, layout: FolderLayout): Promise<Begun> {
    return translatedAsync(() => this.#native.begin(path, layout));
  }

  /** Takes rows, which are copied before this returns. */
  add(rows: number, columns: readonly ColumnRows[]): void {
    translated(() => this.#native.add(rows, columns));
  }

  /** Writes what was added. The note is kept with all rows so far for a writer that goes on. */
  flush(note?: string): Promise<void> {
    return translatedAsync(() => this.#native.flush(note));
  }

  /** Publishes the folder, with further files beside the data; resolves to its fingerprint. */
  finish(
    replace: boolean,
    signal: AbortSignal | undefined,
    files: readonly ExtraFile[] = [],
  ): Promise<string> {
    return stoppable(signal, (flag) => this.#native.finish(replace, flag, files));
  }

  /** Ends without publishing; what is there stays for a writer of the same key, unless it is discarded. */
  stop(discard: boolean): Promise<void> {
    return translatedAsync(() => this.#native.stop(discard));
  }
}

/** Writes bits, the lowest of each byte first, as bytes of 0 and 1. */
export function expandBits(bits: Uint8Array, first: number, out: Uint8Array): void {
  translated(() => addon.expandBits(bits, first, out));
}

async function stoppable<T>(
  signal: AbortSignal | undefined,
  start: (flag: InstanceType<typeof addon.StopFlag>) => Promise<T>,
): Promise<T> {
  const flag = new addon.StopFlag();
  const stop = (): void => flag.stop();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await translatedAsync(() => start(flag));
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}
