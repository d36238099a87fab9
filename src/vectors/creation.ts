/** Making a folder of vectors: texts to vectors batch by batch, into a folder that is published whole. */

import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { sweepUnfinished } from "../native/vectors.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { type Embedded, refusal, type Shape, shapeOf } from "./embedded.ts";
import { embed, embedBatches } from "./embedding.ts";
import { DIGESTS, METADATA } from "./folders.ts";
import { type ColumnFacts, createdMetadata } from "./metadata.ts";
import { type CreateOptions, creationPlan, type EmbeddingPlan } from "./options.ts";
import { digestsOf, findKnown, KnownRows, Origins } from "./reuse.ts";
import { type Beside, textColumn, textIds, VectorWriter } from "./vector-writer.ts";

/** Name of the vectors' column in new caches. */
export const EMBEDDINGS = "embeddings";

/** Names of what is written beside the vectors. */
export const TEXT_ID = "text_id";
export const TEXT = "text";

/** Makes the folder of a new cache; resolves to its path. */
export async function createFolder(options: CreateOptions): Promise<string> {
  const plan = creationPlan(options);
  const { name, root, texts, keepTexts } = plan;
  const beside: Beside = {
    before: [textIds(TEXT_ID)],
    after: keepTexts ? [textColumn(TEXT, texts)] : [],
    kept: undefined,
  };
  const features = [TEXT_ID, EMBEDDINGS, ...(plan.padTo > 0 ? ["masks"] : []), ...(keepTexts ? [TEXT] : [])];
  const describe = (facts: ColumnFacts): string =>
    createdMetadata(EMBEDDINGS, facts, features, texts.length, new Date());
  return new VectorFolder(name, join(root, name), EMBEDDINGS, plan, beside, "", describe).make();
}

/** A folder of vectors in the making. */
export class VectorFolder {
  readonly #name: string;
  readonly #target: string;
  readonly #column: string;
  readonly #plan: EmbeddingPlan;
  readonly #beside: Beside;
  readonly #source: string;
  readonly #describe: (facts: ColumnFacts) => string;
  #writer: VectorWriter | undefined;
  #began = 0;

  /** `source` names what is copied beside the vectors; `describe` gives the text of metadata.json. */
  constructor(
    name: string,
    target: string,
    column: string,
    plan: EmbeddingPlan,
    beside: Beside,
    source: string,
    describe: (facts: ColumnFacts) => string,
  ) {
    this.#name = name;
    this.#target = target;
    this.#column = column;
    this.#plan = plan;
    this.#beside = beside;
    this.#source = source;
    this.#describe = describe;
  }

  /** Writes and publishes it; resolves to its path. What there is after a failure stays, if the plan says so. */
  async make(): Promise<string> {
    const { root, resume } = this.#plan;
    try {
      await mkdir(root, { recursive: true });
      await sweepUnfinished(root);
      await this.#run();
      return this.#target;
    } catch (error) {
      await this.#writer?.stop(!resume).catch(() => undefined);
      throw this.#failure(error);
    }
  }

  async #run(): Promise<void> {
    const { texts, reuse, resume } = this.#plan;
    const digests = await digestsOf(texts);
    const known = reuse ? await findKnown(digests, this.#plan) : new KnownRows(texts.length);
    const key = resume ? this.#key(digests) : undefined;
    const { writer, first } = await this.#begin(known, key);
    this.#began = performance.now();
    const from = writer.texts;
    this.#tell(from, from);
    if (first !== undefined && from === 0) {
      await writer.append(first);
      this.#tell(first.texts, from);
    }
    const origins = await Origins.of(digests, known, writer.texts, writer.shape);
    for await (const { end, embedded } of embedBatches(this.#plan, writer.texts, origins)) {
      await writer.append(embedded);
      this.#tell(end, from);
    }
    await writer.finish([
      { name: METADATA, bytes: Buffer.from(this.#describe(this.#facts(writer))) },
      { name: DIGESTS, bytes: digests },
    ]);
  }

  /** Names everything that the rows depend on. */
  #key(digests: Uint8Array): string {
    const { vectorizer, batchSize, dtype, quantization, padTo } = this.#plan;
    const facts = {
      model: vectorizer.model,
      batchSize,
      dtype,
      quantization,
      padTo,
      column: this.#column,
      source: this.#source,
    };
    return createHash("sha256").update(JSON.stringify(facts)).update(digests).digest("hex");
  }

  /** Begins the folder. The first batch is embedded before where only it tells what vectors look like. */
  async #begin(
    known: KnownRows,
    key: string | undefined,
  ): Promise<{ readonly writer: VectorWriter; readonly first: Embedded | undefined }> {
    const { texts, vectorizer, batchSize } = this.#plan;
    const begin = async (shape: Shape): Promise<VectorWriter> => {
      this.#writer = await VectorWriter.begin(
        this.#target,
        this.#column,
        shape,
        this.#plan,
        this.#beside,
        key,
      );
      return this.#writer;
    };
    const embedFirst = (): Promise<Embedded> => embed(this.#plan, texts.slice(0, batchSize));
    if (known.shape !== null) return { writer: await begin(known.shape), first: undefined };
    const { dimension } = vectorizer;
    if (dimension === undefined) {
      const first = await embedFirst();
      return { writer: await begin(shapeOf(first)), first };
    }
    const writer = await begin([dimension]);
    if (writer.texts > 0) return { writer, first: undefined };
    const first = await embedFirst();
    const shape = shapeOf(first);
    if (String(shape) === String(writer.shape)) return { writer, first };
    if (shape.length === 1) {
      throw refusal(`the vectorizer gave vectors of ${shape[0]} elements, not ${dimension}`);
    }
    await writer.stop(true);
    return { writer: await begin(shape), first };
  }

  #facts({ shape, chunkSizes }: VectorWriter): ColumnFacts {
    const { vectorizer, dtype, quantization } = this.#plan;
    return {
      model: vectorizer.model,
      dimension: shape.at(-1) as number,
      rank: shape.length as 1 | 2,
      contextSize: vectorizer.contextSize ?? null,
      chunkSizes: shape.length === 1 ? null : chunkSizes,
      quantization: dtype === "int8" ? quantization : null,
    };
  }

  #tell(done: number, from: number): void {
    const total = this.#plan.texts.length;
    const rate = done === from ? 0 : ((done - from) * 1000) / Math.max(performance.now() - this.#began, 1e-3);
    const remaining = rate === 0 ? null : ((total - done) / rate) * 1000;
    this.#plan.onProgress({ done, total, rate, remaining });
  }

  #failure(error: unknown): QuiverError {
    const { signal, resume } = this.#plan;
    if (signal?.aborted) {
      return new QuiverError("ERR_QUIVER_ABORTED", `creating the vector cache "${this.#name}" was aborted`, {
        cause: signal.reason,
        fix: resume ? "Call again with the same texts and vectorizer to go on." : "Call again to start anew.",
      });
    }
    const text = error instanceof Error ? error.message : String(error);
    const known = isQuiverError(error) ? error : undefined;
    return new QuiverError(
      known?.code ?? "ERR_QUIVER_VECTORIZER",
      `creating the vector cache "${this.#name}" failed: ${text}`,
      { cause: error, path: known?.path, hint: known?.hint, fix: known?.fix },
    );
  }
}
