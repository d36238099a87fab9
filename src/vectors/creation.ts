/** Making a vector cache: texts to vectors batch by batch, into a folder that is published whole. */

import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as read from "../cache/option-readers.ts";
import { digestTexts, sweepUnfinished, VectorWriter } from "../native/vectors.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { encodeElements } from "./elements.ts";
import { checkVectors, type Embedded, refusal } from "./embedded.ts";
import { checkName, DEFAULT_ROOT, DIGESTS, METADATA } from "./folders.ts";
import { metadataText, type Quantization } from "./metadata.ts";
import { findKnown, type KnownRow, Provenance, TextKeys } from "./reuse.ts";
import { parseShardSize } from "./shard-size.ts";
import type { Vectorizer } from "./vectorizers/vectorizer.ts";
import { abortable } from "./vectorizers/wait.ts";

/** How far a creation is. */
export interface CreateProgress {
  readonly done: number;
  readonly total: number;
  /** Texts a second since this call began; 0 before the first batch. */
  readonly rate: number;
  /** Milliseconds until the end at that rate; null before the first batch. */
  readonly remaining: number | null;
}

export interface CreateOptions {
  /** One folder's name. A cache of this name is replaced when the new one is complete. */
  readonly name: string;
  readonly texts: readonly string[];
  readonly vectorizer: Vectorizer;
  /** Folder of the caches. Default: ".vmcache". */
  readonly root?: string;
  /** Texts that the vectorizer gets at a time. Default: 32. */
  readonly batchSize?: number;
  /** Calls of the vectorizer at a time; each may hold a batch. Default: 1. */
  readonly concurrency?: number;
  /** Most bytes of a file, in decimal units as Hugging Face counts: "500MB" is 500,000,000. Default: "500MB". */
  readonly maxShardSize?: number | string;
  /** How many files, in place of a size. */
  readonly numShards?: number;
  /** How elements are kept; float16 and int8 round them. Default: "float32". */
  readonly dtype?: "float32" | "float16" | "int8";
  /** Of int8: what elements stand for. Default: a scale of 1/127 around 0, which fits vectors of length 1. */
  readonly quantization?: Quantization;
  /** Whether an interrupted creation is kept and taken up by the same call. Default: true. */
  readonly resume?: boolean;
  /** Whether vectors of equal texts are taken from other caches of the same model under `root`. Default: true. */
  readonly reuse?: boolean;
  readonly onProgress?: (progress: CreateProgress) => void;
  readonly signal?: AbortSignal;
}

/** A creation's options, checked. */
interface Plan {
  readonly name: string;
  readonly texts: readonly string[];
  readonly vectorizer: Vectorizer;
  readonly root: string;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly shardBytes: number;
  readonly shards: number | undefined;
  readonly dtype: "float32" | "float16" | "int8";
  readonly quantization: Quantization;
  readonly resume: boolean;
  readonly reuse: boolean;
  readonly onProgress: (progress: CreateProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/** Texts whose digests are made at a time. */
const DIGESTED = 8192;

/** Makes the folder; resolves to its path. */
export async function createFolder(options: CreateOptions): Promise<string> {
  const plan = planOf(options);
  const target = join(plan.root, plan.name);
  const creation = new Creation(plan, target);
  try {
    await mkdir(plan.root, { recursive: true });
    await sweepUnfinished(plan.root);
    await creation.run();
    return target;
  } catch (error) {
    await creation.stop(!plan.resume).catch(() => undefined);
    throw failure(plan, error);
  }
}

function failure(plan: Plan, error: unknown): QuiverError {
  if (plan.signal?.aborted) {
    return new QuiverError("ERR_QUIVER_ABORTED", `creating the vector cache "${plan.name}" was aborted`, {
      cause: plan.signal.reason,
      fix: plan.resume
        ? "Call again with the same texts and vectorizer to go on."
        : "Call again to start anew.",
    });
  }
  const text = error instanceof Error ? error.message : String(error);
  const known = isQuiverError(error) ? error : undefined;
  return new QuiverError(
    known?.code ?? "ERR_QUIVER_VECTORIZER",
    `creating the vector cache "${plan.name}" failed: ${text}`,
    { cause: error, path: known?.path, hint: known?.hint, fix: known?.fix },
  );
}

/** What a text's vectors look like: one of so many elements, or chunks of them; 0 chunks for a number that varies. */
type Shape = readonly [dimension: number] | readonly [chunks: number, dimension: number];

class Creation {
  readonly #plan: Plan;
  readonly #target: string;
  #writer: VectorWriter | undefined;
  readonly #chunkSizes = new Map<number, number>();
  #shape: Shape | undefined;
  #began = 0;

  constructor(plan: Plan, target: string) {
    this.#plan = plan;
    this.#target = target;
  }

  /** Ends an unfinished creation. */
  async stop(discard: boolean): Promise<void> {
    await this.#writer?.stop(discard);
  }

  async run(): Promise<void> {
    const { texts, vectorizer, batchSize, root, reuse, resume } = this.#plan;
    const digests = await digestsOf(texts);
    const keys = new TextKeys(digests);
    const known = reuse ? await findKnown(keys, vectorizer.model, root) : new Map<string, KnownRow>();
    const key = resume ? this.#key(digests) : undefined;

    // An interrupted creation can only be found by the shape of its vectors.
    let first: Embedded | undefined;
    const [some] = known.values();
    const dimension = some?.column.dimension ?? vectorizer.dimension;
    if (dimension === undefined) first = await this.#embed(texts.slice(0, batchSize));
    this.#shape = first === undefined ? [dimension as number] : shapeOf(first);
    let start = await this.#begin(key);
    if (first === undefined && start === 0 && known.size === 0) {
      first = await this.#embed(texts.slice(0, batchSize));
      const shape = shapeOf(first);
      if (String(shape) !== String(this.#shape)) {
        if (shape.length === 1)
          throw refusal(`the vectorizer gave vectors of ${shape[0]} elements, not ${dimension}`);
        await this.stop(true);
        this.#shape = shape;
        start = await this.#begin(key);
      }
    }

    this.#began = performance.now();
    this.#tell(start, start);
    const from = start;
    if (start === 0 && first !== undefined) {
      await this.#append(first);
      start = first.texts;
      this.#tell(start, from);
    }
    const [width] = this.#shape;
    const provenance = this.#shape.length === 1 ? new Provenance(keys, known, start, width) : undefined;
    await this.#appendFrom(start, from, provenance);
    await this.#writer?.finish([
      { name: METADATA, bytes: Buffer.from(this.#metadata()) },
      { name: DIGESTS, bytes: digests },
    ]);
  }

  /** Names everything that the rows depend on. */
  #key(digests: Uint8Array): string {
    const { vectorizer, batchSize, dtype, quantization } = this.#plan;
    const facts = { model: vectorizer.model, batchSize, dtype, quantization };
    return createHash("sha256").update(JSON.stringify(facts)).update(digests).digest("hex");
  }

  /** Begins the folder; resolves to how many texts it has already. */
  async #begin(key: string | undefined): Promise<number> {
    const { dtype, shardBytes, shards, texts } = this.#plan;
    const layout = { shape: this.#shape ?? [], dtype, shardBytes, shards, texts: texts.length, key };
    this.#writer = await VectorWriter.begin(this.#target, layout);
    return this.#writer.texts;
  }

  /** Appends all batches from `start` on, in order, while later ones are being embedded. */
  async #appendFrom(start: number, from: number, provenance: Provenance | undefined): Promise<void> {
    const { texts, batchSize, concurrency } = this.#plan;
    const running: {
      readonly start: number;
      readonly missing: readonly number[];
      readonly vectors: Promise<Embedded>;
    }[] = [];
    let next = start;
    const begin = (): void => {
      const end = Math.min(next + batchSize, texts.length);
      const missing = provenance?.missing(next, end) ?? range(next, end);
      const vectors = this.#embed(missing.map((index) => texts[index] as string));
      // Its failure is noticed when it is its turn.
      vectors.catch(() => undefined);
      running.push({ start: next, missing, vectors });
      next = end;
    };
    while (running.length > 0 || next < texts.length) {
      while (running.length < concurrency && next < texts.length) begin();
      const batch = running.shift();
      if (batch === undefined) continue;
      const embedded = await batch.vectors;
      // The next one is under way while this one is written.
      if (next < texts.length) begin();
      const end = Math.min(batch.start + batchSize, texts.length);
      const complete =
        provenance === undefined
          ? embedded
          : this.#complete(batch.start, end, batch.missing, embedded, provenance);
      await this.#append(complete);
      this.#tell(end, from);
    }
  }

  /** The vectors of all texts `[start, end)`, of which some were embedded now. */
  #complete(
    start: number,
    end: number,
    missing: readonly number[],
    embedded: Embedded,
    provenance: Provenance,
  ): Embedded {
    const { dimension } = embedded.texts > 0 ? embedded : { dimension: this.#shape?.[0] ?? 0 };
    if (missing.length === end - start) {
      missing.forEach((index, i) => {
        provenance.keep(index, vectorAt(embedded.values, i, dimension));
        provenance.take(index);
      });
      return embedded;
    }
    const values = new Float32Array((end - start) * dimension);
    const here = new Map<string, Float32Array>();
    missing.forEach((index, i) => {
      const vector = vectorAt(embedded.values, i, dimension);
      here.set(provenance.key(index), vector);
      provenance.keep(index, vector);
    });
    const elsewhere = new Map<KnownRow["column"], { readonly at: number[]; readonly rows: number[] }>();
    for (let index = start; index < end; index++) {
      const known = provenance.known(index);
      if (known === undefined) {
        const kept = provenance.take(index);
        const vector = here.get(provenance.key(index)) ?? kept;
        if (vector === undefined)
          throw new QuiverError("ERR_QUIVER_INTERNAL", "a repeated text has no vector");
        values.set(vector, (index - start) * dimension);
        continue;
      }
      const picked = elsewhere.get(known.column) ?? { at: [], rows: [] };
      picked.at.push(index - start);
      picked.rows.push(known.row);
      elsewhere.set(known.column, picked);
    }
    for (const [column, { at, rows }] of elsewhere) {
      const found = column.gather(rows).data as Float32Array;
      at.forEach((row, i) => {
        values.set(vectorAt(found, i, dimension), row * dimension);
      });
    }
    return { texts: end - start, dimension, chunks: null, values };
  }

  async #embed(texts: readonly string[]): Promise<Embedded> {
    const { vectorizer, signal } = this.#plan;
    signal?.throwIfAborted();
    if (texts.length === 0) return { texts: 0, dimension: 0, chunks: null, values: new Float32Array(0) };
    const asked = vectorizer.embed(texts.map(wellFormed), signal === undefined ? {} : { signal });
    return checkVectors(await abortable(asked, signal), texts.length);
  }

  async #append(embedded: Embedded): Promise<void> {
    this.#plan.signal?.throwIfAborted();
    const shape = shapeOf(embedded);
    if (String(shape) !== String(this.#shape)) {
      throw refusal(`the vectorizer gave vectors [${shape}] for a batch, and [${this.#shape}] before`);
    }
    const { texts, chunks, values } = embedded;
    if (chunks !== null) {
      for (let text = 0; text < texts; text++) {
        const count = typeof chunks === "number" ? chunks : (chunks[text] as number);
        this.#chunkSizes.set(count, (this.#chunkSizes.get(count) ?? 0) + 1);
      }
    }
    const lengths = chunks instanceof Uint32Array ? [...chunks] : undefined;
    const { dtype, quantization } = this.#plan;
    await this.#writer?.append(texts, lengths, encodeElements(values, dtype, quantization));
  }

  #tell(done: number, from: number): void {
    const total = this.#plan.texts.length;
    const rate = done === from ? 0 : ((done - from) * 1000) / Math.max(performance.now() - this.#began, 1e-3);
    const remaining = rate === 0 ? null : ((total - done) / rate) * 1000;
    this.#plan.onProgress({ done, total, rate, remaining });
  }

  #metadata(): string {
    const { vectorizer, texts, dtype, quantization } = this.#plan;
    const shape = this.#shape ?? [0];
    return metadataText(
      {
        model: vectorizer.model,
        dimension: shape.at(-1) as number,
        rank: shape.length as 1 | 2,
        texts: texts.length,
        contextSize: vectorizer.contextSize ?? null,
        chunkSizes: shape.length === 1 ? null : this.#chunkSizes,
        quantization: dtype === "int8" ? quantization : null,
      },
      new Date(),
    );
  }
}

function planOf(options: CreateOptions): Plan {
  const name = checkName(options.name);
  const { texts, vectorizer, dtype = "float32", numShards, maxShardSize, quantization } = options;
  if (!Array.isArray(texts)) throw read.badOption("texts", texts, "a list of strings");
  if (texts.length === 0) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "texts is empty", {
      hint: "A vector cache needs at least one text.",
      fix: "Pass a list that has some.",
    });
  }
  const odd = texts.findIndex((text) => typeof text !== "string");
  if (odd >= 0) throw read.badOption(`texts[${odd}]`, texts[odd], "a string");
  if (
    typeof vectorizer?.embed !== "function" ||
    typeof vectorizer.model !== "string" ||
    vectorizer.model === ""
  ) {
    throw read.badOption("vectorizer", vectorizer, "an object with a model's name and embed");
  }
  if (numShards !== undefined && maxShardSize !== undefined) {
    throw read.badOption("numShards", numShards, "given without maxShardSize");
  }
  if (numShards !== undefined && numShards > texts.length) {
    throw read.badOption("numShards", numShards, `at most the number of texts, ${texts.length}`);
  }
  const { scale, zeroPoint } = quantization ?? { scale: 1 / 127, zeroPoint: 0 };
  if (!(scale > 0) || !Number.isFinite(scale))
    throw read.badOption("quantization.scale", scale, "a number above 0");
  if (!Number.isInteger(zeroPoint) || zeroPoint < -128 || zeroPoint > 127) {
    throw read.badOption("quantization.zeroPoint", zeroPoint, "a whole number from -128 to 127");
  }
  return {
    name,
    texts,
    vectorizer,
    root: resolve(options.root ?? DEFAULT_ROOT),
    batchSize: positive(options.batchSize ?? 32, "batchSize"),
    concurrency: positive(options.concurrency ?? 1, "concurrency"),
    shardBytes: parseShardSize(maxShardSize ?? "500MB"),
    shards: numShards === undefined ? undefined : positive(numShards, "numShards"),
    dtype: read.oneOf("float32", "float16", "int8")(dtype, "dtype"),
    quantization: { scale, zeroPoint },
    resume: options.resume ?? true,
    reuse: options.reuse ?? true,
    onProgress: options.onProgress ?? (() => undefined),
    signal: options.signal,
  };
}

function positive(value: unknown, field: string): number {
  const number = read.count(value, field);
  if (number === 0) throw read.badOption(field, value, "a whole number above 0");
  return number;
}

async function digestsOf(texts: readonly string[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < texts.length; start += DIGESTED) {
    parts.push(await digestTexts(texts.slice(start, start + DIGESTED)));
  }
  return Buffer.concat(parts);
}

function shapeOf({ chunks, dimension }: Embedded): Shape {
  if (chunks === null) return [dimension];
  return [typeof chunks === "number" ? chunks : 0, dimension];
}

function vectorAt(values: Float32Array, index: number, dimension: number): Float32Array {
  return values.subarray(index * dimension, (index + 1) * dimension);
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** Lone surrogates become U+FFFD, as in every encoding of the text. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}
