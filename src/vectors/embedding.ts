/** Texts to vectors, batch by batch in order, each text as seldom as can be. */

import { QuiverError } from "../shared/errors.ts";
import { checkVectors, type Embedded, vectorOf } from "./embedded.ts";
import type { EmbeddingPlan } from "./options.ts";
import { type Origins, range } from "./reuse.ts";
import type { VectorColumn } from "./vector-column.ts";
import { abortable } from "./vectorizers/wait.ts";

/** The vectors of the texts `[start, end)`. */
export interface Batch {
  readonly start: number;
  readonly end: number;
  readonly embedded: Embedded;
}

/** Asks the vectorizer, and checks what it gives. */
export async function embed(plan: EmbeddingPlan, texts: readonly string[]): Promise<Embedded> {
  const { vectorizer, signal } = plan;
  signal?.throwIfAborted();
  if (texts.length === 0) return { texts: 0, dimension: 0, chunks: null, parts: [] };
  const asked = vectorizer.embed(texts.map(wellFormed), signal === undefined ? {} : { signal });
  return checkVectors(await abortable(asked, signal), texts.length);
}

/**
 * The batches from text `start` on, embedded as many at a time as the plan says. The next is begun when the caller is done
 * with one, as vectorizers may give the same memory again. Without `origins` every text is embedded.
 */
export async function* embedBatches(
  plan: EmbeddingPlan,
  start: number,
  origins: Origins | undefined,
): AsyncGenerator<Batch, void, undefined> {
  const { texts, batchSize, concurrency } = plan;
  const running: {
    readonly start: number;
    readonly missing: readonly number[];
    vectors: Promise<Embedded>;
  }[] = [];
  let next = start;
  const begin = (): void => {
    const end = Math.min(next + batchSize, texts.length);
    const missing = origins?.missing(next, end) ?? range(next, end);
    const vectors = embed(
      plan,
      missing.map((index) => texts[index] as string),
    );
    // Its failure is noticed when it is its turn.
    vectors.catch(() => undefined);
    running.push({ start: next, missing, vectors });
    next = end;
  };
  while (next < texts.length && running.length < concurrency) begin();
  for (let batch = running.shift(); batch !== undefined; batch = running.shift()) {
    const embedded = await batch.vectors;
    const end = Math.min(batch.start + batchSize, texts.length);
    const whole =
      origins === undefined ? embedded : complete(batch.start, end, batch.missing, embedded, origins);
    yield { start: batch.start, end, embedded: whole };
    if (next < texts.length) begin();
  }
}

/** The vectors of all texts `[start, end)`, of which those of `missing` were embedded now. */
function complete(
  start: number,
  end: number,
  missing: readonly number[],
  embedded: Embedded,
  origins: Origins,
): Embedded {
  missing.forEach((text, i) => {
    origins.keep(text, () => vectorOf(embedded, i));
  });
  if (missing.length === end - start) {
    for (const text of missing) origins.take(text);
    return embedded;
  }
  const here = new Map(missing.map((text, i) => [origins.first(text), i]));
  const elsewhere = new Map<VectorColumn, { readonly texts: number[]; readonly rows: number[] }>();
  const parts = Array<ArrayLike<number>>(end - start).fill([]);
  for (let text = start; text < end; text++) {
    const known = origins.known(text);
    if (known === undefined) {
      const kept = origins.take(text);
      const number = here.get(origins.first(text));
      const vector = number === undefined ? kept : vectorOf(embedded, number);
      if (vector === undefined) throw new QuiverError("ERR_QUIVER_INTERNAL", "a repeated text has no vector");
      parts[text - start] = vector;
      continue;
    }
    const picked = elsewhere.get(known.column) ?? { texts: [], rows: [] };
    picked.texts.push(text);
    picked.rows.push(known.row);
    elsewhere.set(known.column, picked);
  }
  for (const [column, { texts, rows }] of elsewhere) {
    const { dimension } = column;
    const gathered = column.gather(rows).data as Float32Array;
    texts.forEach((text, i) => {
      parts[text - start] = gathered.subarray(i * dimension, (i + 1) * dimension);
    });
  }
  return { texts: end - start, dimension: parts[0]?.length ?? 0, chunks: null, parts };
}

/** Lone surrogates become U+FFFD, as in every encoding of the text. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}
