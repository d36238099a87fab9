/** Texts to vectors, batch by batch in order, each text as seldom as can be. */

import { QuiverError } from "../shared/errors.ts";
import { checkShape, checkVectors, type Embedded, vectorsOf } from "./embedded.ts";
import type { EmbeddingPlan } from "./options.ts";
import type { KnownColumn, Origins } from "./reuse.ts";
import { abortable } from "./vectorizers/wait.ts";

/** The vectors of the texts `[start, end)`. */
export interface Batch {
  readonly start: number;
  readonly end: number;
  readonly embedded: Embedded;
}

/** Asks the vectorizer, and checks what it gives. Lone surrogates become U+FFFD, as in every encoding of a text. */
export async function embed(plan: EmbeddingPlan, texts: readonly string[]): Promise<Embedded> {
  const { vectorizer, signal } = plan;
  signal?.throwIfAborted();
  if (texts.length === 0) return { texts: 0, dimension: 0, chunks: null, parts: [] };
  const asked = vectorizer.embed(
    texts.map((text) => text.toWellFormed()),
    signal === undefined ? {} : { signal },
  );
  return checkVectors(await abortable(asked, signal), texts.length);
}

/**
 * The batches from text `start` on, embedded as many at a time as the plan says. The next is begun when the caller is done
 * with one, as vectorizers may give the same memory again.
 */
export async function* embedBatches(
  plan: EmbeddingPlan,
  start: number,
  origins: Origins,
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
    const missing = origins.missing(next, end);
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
    yield { start: batch.start, end, embedded: complete(batch.start, end, batch.missing, embedded, origins) };
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
  if (missing.length > 0) checkShape(embedded, origins.shape);
  missing.forEach((text, i) => {
    origins.keep(text, () => vectorsOf(embedded, i));
  });
  if (missing.length === end - start) {
    for (const text of missing) origins.take(text);
    return embedded;
  }
  const here = new Map(missing.map((text, i) => [origins.first(text), i]));
  const elsewhere = new Map<KnownColumn, { readonly places: number[]; readonly rows: number[] }>();
  const parts = Array<ArrayLike<number>>(end - start).fill([]);
  for (let text = start; text < end; text++) {
    const known = origins.known(text);
    if (known === undefined) {
      const kept = origins.take(text);
      const number = here.get(origins.first(text));
      const vectors = number === undefined ? kept : vectorsOf(embedded, number);
      if (vectors === undefined)
        throw new QuiverError("ERR_QUIVER_INTERNAL", "a repeated text has no vector");
      parts[text - start] = vectors;
      continue;
    }
    const picked = elsewhere.get(known.column) ?? { places: [], rows: [] };
    picked.places.push(text - start);
    picked.rows.push(known.row);
    elsewhere.set(known.column, picked);
  }
  for (const [column, { places, rows }] of elsewhere) {
    column.vectors(rows).forEach((vectors, i) => {
      parts[places[i] as number] = vectors;
    });
  }
  const { shape } = origins;
  if (shape.length === 1) return { texts: end - start, dimension: shape[0], chunks: null, parts };
  const [each, dimension] = shape;
  const chunks = each > 0 ? each : Uint32Array.from(parts, ({ length }) => length / dimension);
  return { texts: end - start, dimension, chunks, parts };
}
