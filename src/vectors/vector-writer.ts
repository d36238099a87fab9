/** A folder with a column of vectors being written, beside other columns. */

import type { Dataset } from "../datasets/dataset.ts";
import { handleOf } from "../datasets/handles.ts";
import { type ColumnLayout, type ColumnRows, DatasetWriter, type ExtraFile } from "../native/datasets.ts";
import { encodeElements } from "./elements.ts";
import { checkShape, type Embedded, elementsOf, type Shape } from "./embedded.ts";
import type { EmbeddingPlan } from "./options.ts";
import { MASKS } from "./vector-column.ts";

/** A column whose rows are known without being embedded. */
export interface PlainColumn {
  readonly layout: ColumnLayout;
  rows(start: number, end: number): ColumnRows;
}

/** What there is beside the vectors. */
export interface Beside {
  /** Columns that come before and after them. */
  readonly before: readonly PlainColumn[];
  readonly after: readonly PlainColumn[];
  /** A dataset of which columns are copied as they are, before all others. */
  readonly kept: { readonly dataset: Dataset; readonly columns: readonly string[] } | undefined;
}

/** Bytes of vectors that are written together, */
const GROUP = 2 * 1024 * 1024;
/** or all that came in so many milliseconds: what an interruption may cost. */
const INTERVAL = 10;

export class VectorWriter {
  readonly shape: Shape;
  /** How many texts have so many vectors, where texts have several. */
  readonly chunkSizes: Map<number, number> = new Map();
  readonly #plan: EmbeddingPlan;
  readonly #beside: Beside;
  readonly #writer: DatasetWriter;
  #texts = 0;
  /** About as many bytes have been added and not handed to the disk. */
  #waiting = 0;
  #since = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Where elements are joined. */
  #room: Float32Array = new Float32Array(0);

  private constructor(plan: EmbeddingPlan, shape: Shape, beside: Beside, writer: DatasetWriter) {
    this.#plan = plan;
    this.shape = shape;
    this.#beside = beside;
    this.#writer = writer;
  }

  /** Begins a folder, or goes on with an unfinished one of the same key. */
  static async begin(
    target: string,
    column: string,
    shape: Shape,
    plan: EmbeddingPlan,
    beside: Beside,
    key: string | undefined,
  ): Promise<VectorWriter> {
    const { dtype, padTo, shardBytes, shards, texts } = plan;
    const isRagged = shape[0] === 0 && padTo === 0;
    const padded: readonly number[] = shape.length === 2 && padTo > 0 ? [padTo, shape[1]] : shape;
    const columns: ColumnLayout[] = [
      ...beside.before.map(({ layout }) => layout),
      { name: column, dtype, row: isRagged ? shape.slice(1) : [...padded], ragged: isRagged },
      ...(shape.length === 2 && padTo > 0
        ? [{ name: MASKS, dtype: "int8", row: [padTo], ragged: false }]
        : []),
      ...beside.after.map(({ layout }) => layout),
    ];
    const { kept } = beside;
    const native =
      kept === undefined
        ? DatasetWriter.of(columns)
        : handleOf(kept.dataset).writerBeside(kept.columns, columns);
    const writer = new VectorWriter(plan, shape, beside, native);
    const { rows, note } = await native.begin(target, {
      shardBytes,
      rows: texts.length,
      sync: true,
      ...(shards === undefined ? {} : { shards }),
      ...(key === undefined ? {} : { key }),
    });
    writer.#texts = rows;
    if (note !== "") {
      for (const [chunks, count] of JSON.parse(note) as [number, number][])
        writer.chunkSizes.set(chunks, count);
    }
    return writer;
  }

  /** Texts so far, those of an interrupted run included. */
  get texts(): number {
    return this.#texts;
  }

  /**
   * Appends the vectors of the next texts, which are copied before this returns; resolves when there is room for more.
   * Throws ERR_QUIVER_VECTORIZER where they look different from those before.
   */
  async append(embedded: Embedded): Promise<void> {
    this.#plan.signal?.throwIfAborted();
    checkShape(embedded, this.shape);
    const { before, after } = this.#beside;
    const [start, end] = [this.#texts, this.#texts + embedded.texts];
    const values = elementsOf(embedded, (length) => this.#roomFor(length));
    const rows = [
      ...before.map((column) => column.rows(start, end)),
      ...this.#vectors(embedded, values),
      ...after.map((column) => column.rows(start, end)),
    ];
    this.#writer.add(embedded.texts, rows);
    this.#texts = end;
    if (this.#waiting === 0) this.#since = performance.now();
    this.#waiting += values.byteLength + embedded.texts;
    if (this.#waiting >= GROUP || performance.now() - this.#since >= INTERVAL) await this.#flush();
  }

  /** Begins to write what waits, when all before is written. */
  async #flush(): Promise<void> {
    await this.#writing;
    if (this.#waiting === 0) return;
    this.#waiting = 0;
    const note = this.chunkSizes.size === 0 ? undefined : JSON.stringify([...this.chunkSizes]);
    this.#writing = this.#writer.flush(note);
    // A failure is told to the next call.
    this.#writing.catch(() => undefined);
  }

  #roomFor(length: number): Float32Array {
    if (this.#room.length < length) this.#room = new Float32Array(length);
    return this.#room.subarray(0, length);
  }

  /** Publishes the folder, with further files, in place of what is there. */
  async finish(files: readonly ExtraFile[]): Promise<string> {
    await this.#flush();
    await this.#writing;
    return this.#writer.finish(true, this.#plan.signal, files);
  }

  /** Stops writing; what is there stays for a later writer of the same key, unless it is discarded. */
  async stop(discard: boolean): Promise<void> {
    await this.#flush()
      .then(() => this.#writing)
      .catch(() => undefined);
    await this.#writer.stop(discard);
  }

  #vectors({ texts, dimension, chunks }: Embedded, values: Float32Array): ColumnRows[] {
    const { dtype, quantization, padTo } = this.#plan;
    const encode = (elements: Float32Array): Uint8Array => encodeElements(elements, dtype, quantization);
    if (chunks === null) return [{ data: encode(values) }];
    const lengths = typeof chunks === "number" ? Array<number>(texts).fill(chunks) : [...chunks];
    for (const length of lengths) this.chunkSizes.set(length, (this.chunkSizes.get(length) ?? 0) + 1);
    if (padTo === 0) return [{ data: encode(values), ...(typeof chunks === "number" ? {} : { lengths }) }];
    const padded = new Float32Array(texts * padTo * dimension);
    const masks = new Int8Array(texts * padTo);
    let at = 0;
    lengths.forEach((length, text) => {
      const real = Math.min(length, padTo);
      padded.set(values.subarray(at * dimension, (at + real) * dimension), text * padTo * dimension);
      masks.fill(1, text * padTo, text * padTo + real);
      at += length;
    });
    return [{ data: encode(padded) }, { data: new Uint8Array(masks.buffer) }];
  }
}

/** The number of each text. */
export function textIds(name: string): PlainColumn {
  return {
    layout: { name, dtype: "int64", row: [], ragged: false },
    rows(start, end) {
      // The upper half of each stays 0.
      const halves = new Uint32Array(2 * (end - start));
      for (let id = start; id < end; id++) halves[2 * (id - start)] = id;
      return { data: new Uint8Array(halves.buffer) };
    },
  };
}

/** The texts themselves. */
export function textColumn(name: string, texts: readonly string[]): PlainColumn {
  return {
    layout: { name, dtype: "string", row: [], ragged: false },
    rows: (start, end) => ({ texts: texts.slice(start, end) }),
  };
}
