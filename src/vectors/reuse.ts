/** Vectors that need not be computed: of texts that another cache of the same model has, and of repeated texts. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Dataset } from "../datasets/dataset.ts";
import { digestTexts, firstTexts, foundTexts, NO_TEXT, TEXT_DIGEST } from "../native/vectors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decodeElements, type StoredDType } from "./elements.ts";
import type { Shape } from "./embedded.ts";
import { DIGESTS, findFolder, listFolders, METADATA } from "./folders.ts";
import { parseMetadata, type Quantization } from "./metadata.ts";
import type { EmbeddingPlan } from "./options.ts";
import { VectorColumn } from "./vector-column.ts";

/** Texts whose digests are made at a time. */
const DIGESTED = 8192;

/** The digest of each text, one after the other. */
export async function digestsOf(texts: readonly string[]): Promise<Uint8Array> {
  const digests = new Uint8Array(texts.length * TEXT_DIGEST);
  for (let start = 0; start < texts.length; start += DIGESTED) {
    digests.set(await digestTexts(texts.slice(start, start + DIGESTED)), start * TEXT_DIGEST);
  }
  return digests;
}

/** A column of another cache whose vectors serve as if they had been embedded again. */
export class KnownColumn {
  readonly size: number;
  readonly shape: Shape;
  readonly #column: VectorColumn;
  readonly #dtype: StoredDType;
  readonly #quantization: Quantization;

  constructor(column: VectorColumn, shape: Shape, dtype: StoredDType, quantization: Quantization) {
    this.size = column.size;
    this.shape = shape;
    this.#column = column;
    this.#dtype = dtype;
    this.#quantization = quantization;
  }

  /** The elements of each row's vectors. */
  vectors(rows: readonly number[]): Float32Array[] {
    if (this.#column.chunks === "ragged") return rows.map((row) => this.#decode(this.#column.row(row)));
    const all = this.#decode(this.#column.gather(rows));
    const each = all.length / rows.length;
    return rows.map((_, i) => all.subarray(i * each, (i + 1) * each));
  }

  #decode({ data }: Tensor): Float32Array {
    return decodeElements(data, this.#dtype, this.#quantization);
  }
}

/** A row of a cache. */
interface KnownRow {
  readonly column: KnownColumn;
  readonly row: number;
}

/** Rows of other caches that have vectors of texts, all of one shape. */
export class KnownRows {
  readonly #columns: KnownColumn[] = [];
  readonly #texts: number;
  /** Of each text its row, or NO_TEXT, and which column that is in; empty until there is one. */
  #rows: Uint32Array = new Uint32Array(0);
  #column: Uint16Array = new Uint16Array(0);

  constructor(texts: number) {
    this.#texts = texts;
  }

  /** null as long as there are none. */
  get shape(): Shape | null {
    return this.#columns[0]?.shape ?? null;
  }

  /** `rows` has a row of the column for each text, or NO_TEXT. */
  add(column: KnownColumn, rows: Uint32Array): void {
    const isFirst = this.#columns.length === 0;
    const fits = isFirst || String(column.shape) === String(this.shape);
    if (!fits || !rows.some((row) => row !== NO_TEXT)) return;
    if (isFirst) {
      this.#rows = new Uint32Array(this.#texts).fill(NO_TEXT);
      this.#column = new Uint16Array(this.#texts);
    }
    const number = this.#columns.push(column) - 1;
    rows.forEach((row, text) => {
      if (row === NO_TEXT || this.#rows[text] !== NO_TEXT) return;
      this.#rows[text] = row;
      this.#column[text] = number;
    });
  }

  at(text: number): KnownRow | undefined {
    const row = this.#rows[text];
    const column = this.#columns[this.#column[text] ?? 0];
    return row === undefined || row === NO_TEXT || column === undefined ? undefined : { column, row };
  }
}

/** Most caches that are looked into. */
const MOST_CACHES = 1000;

/** What decides whether a cache's vectors serve: its model, and how elements are going to be kept. */
type Wanted = Pick<EmbeddingPlan, "dtype" | "quantization"> & { readonly model: string };

/**
 * Where the vectors of texts lie that caches of the plan's root have from the same model: not rounded, or rounded as
 * the plan says, and not filled up. Caches that can't be read or are damaged are passed over: what is taken from them
 * would get digests of its own, and nobody would find the damage any more.
 */
export async function findKnown(digests: Uint8Array, plan: EmbeddingPlan): Promise<KnownRows> {
  const { root, dtype, quantization } = plan;
  const wanted = { model: plan.vectorizer.model, dtype, quantization };
  const known = new KnownRows(digests.byteLength / TEXT_DIGEST);
  for (const name of (await listFolders(root)).slice(0, MOST_CACHES)) {
    const cache = await openWithDigests(join(root, name), wanted);
    if (cache === undefined) continue;
    const rows = foundTexts(digests, cache.digests);
    const serves = rows.some((row) => row !== NO_TEXT);
    if (serves && (await isSound(cache.dataset, plan.signal))) known.add(cache.column, rows);
  }
  return known;
}

async function isSound(dataset: Dataset, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await dataset.verify(signal === undefined ? {} : { signal });
    return true;
  } catch (error) {
    if (signal?.aborted) throw error;
    return false;
  }
}

/** A cache that may have vectors of texts. */
interface Candidate {
  readonly dataset: Dataset;
  readonly column: KnownColumn;
  readonly digests: Uint8Array;
}

async function openWithDigests(path: string, wanted: Wanted): Promise<Candidate | undefined> {
  try {
    const folder = findFolder(path, path);
    const { columns } = parseMetadata(await readFile(join(path, METADATA), "utf8"), folder.name, []);
    const found = [...columns].find(([, column]) => column.model === wanted.model);
    if (found === undefined) return undefined;
    const [name, { quantization }] = found;
    const digests = await readFile(join(path, DIGESTS));
    const dataset = await Dataset.open(folder.data);
    const column = knownColumn(dataset, name, quantization, wanted);
    // Digests that another program carried over beside other rows say nothing.
    return column?.size === digests.byteLength / TEXT_DIGEST ? { dataset, column, digests } : undefined;
  } catch {
    return undefined;
  }
}

function knownColumn(
  dataset: Dataset,
  name: string,
  quantization: Quantization | null,
  { dtype, quantization: { scale, zeroPoint } }: Wanted,
): KnownColumn | undefined {
  const column = new VectorColumn(dataset, name);
  const isSame = quantization?.scale === scale && quantization.zeroPoint === zeroPoint;
  const serves = column.dtype === "float32" || (column.dtype === dtype && (dtype !== "int8" || isSame));
  if (!serves || column.isPadded) return undefined;
  const { chunks, dimension } = column;
  // Rows that happen to have as many vectors may be of a model that gives different numbers of them.
  const { _type: kind } = (dataset.features?.[name] ?? {}) as { readonly _type?: unknown };
  const isFixed = kind === "Array2D" && typeof chunks === "number";
  const shape: Shape = chunks === null ? [dimension] : [isFixed ? chunks : 0, dimension];
  return new KnownColumn(column, shape, column.dtype as StoredDType, { scale, zeroPoint });
}

/** Most memory for vectors of texts that come again; those of further ones are computed again. */
const MEMORY = 16 * 1024 * 1024;

/** Where the vector of each text comes from: another cache, an earlier equal text, or the vectorizer. */
export class Origins {
  /** Of each text's vectors. */
  readonly shape: Shape;
  readonly #known: KnownRows;
  readonly #start: number;
  /** For each text from `start` on the first of those that equals it, counted from `start`. */
  readonly #firsts: Uint32Array;
  /** Texts that come again: how often still, and their vectors once they are there. */
  readonly #repeated = new Map<number, { left: number; vector: Float32Array | undefined }>();

  private constructor(firsts: Uint32Array, known: KnownRows, start: number, shape: Shape) {
    this.shape = shape;
    this.#known = known;
    this.#start = start;
    this.#firsts = firsts;
    const elements = shape.reduce((product, size) => product * size, 1);
    // How much a text takes is not known where that varies: then no vectors are kept.
    const most = elements === 0 ? 0 : Math.floor(MEMORY / (elements * 4));
    this.#firsts.forEach((first, index) => {
      if (first === index || known.at(start + index) !== undefined) return;
      const repeated = this.#repeated.get(first);
      if (repeated !== undefined) repeated.left++;
      else if (this.#repeated.size < most) this.#repeated.set(first, { left: 1, vector: undefined });
    });
  }

  /** Of the texts from `start` on, which have these digests among others. */
  static async of(digests: Uint8Array, known: KnownRows, start: number, shape: Shape): Promise<Origins> {
    return new Origins(await firstTexts(digests.subarray(start * TEXT_DIGEST)), known, start, shape);
  }

  /** The row of another cache that has the text's vector. */
  known(text: number): KnownRow | undefined {
    return this.#known.at(text);
  }

  /** Of the texts `[start, end)` those that have to be embedded. */
  missing(start: number, end: number): number[] {
    return range(start, end).filter((text) => {
      if (this.#known.at(text) !== undefined) return false;
      const first = this.first(text);
      return first === text || (first < start && !this.#repeated.has(first - this.#start));
    });
  }

  /** The first text that equals this one. */
  first(text: number): number {
    return (this.#firsts[text - this.#start] ?? 0) + this.#start;
  }

  /** Notes a vector that has been embedded, when its text comes again. */
  keep(text: number, vector: () => ArrayLike<number>): void {
    const repeated = this.#repeated.get(text - this.#start);
    if (repeated !== undefined) repeated.vector = Float32Array.from(vector());
  }

  /** The vector of an earlier equal text; forgotten with its last use. */
  take(text: number): Float32Array | undefined {
    const first = this.first(text) - this.#start;
    const repeated = this.#repeated.get(first);
    if (repeated === undefined || first + this.#start === text) return undefined;
    if (--repeated.left === 0) this.#repeated.delete(first);
    return repeated.vector;
  }
}

export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
