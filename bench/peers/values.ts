/** What is stored. The same formulas are in python/values.py, so that both languages store the same bytes. */

import { createHash } from "node:crypto";

/** Bytes that differ from one seed to the next. */
export function bytes(size: number, seed: number): Uint8Array {
  const out = new Uint8Array(size);
  for (let index = 0; index < size; index++) out[index] = (index * 31 + seed * 7 + (index >> 8)) & 255;
  return out;
}

export function keyAt(size: number, index: number): string {
  return `blob-${size}-${index}`;
}

/** A matrix of small whole numbers: their sums are exact in any order of adding. */
export function matrix(rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let index = 0; index < out.length; index++) out[index] = (index * 7) % 1_013;
  return out;
}

/** Row numbers that look random, others in every turn. */
export function randomRows(rows: number, count: number, turn: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => ((index + turn * count) * 7_919 + turn) % rows);
}

/** A record of 10 to 15 KB: text, numbers and a list, as an enriched search result has them. */
export function record(index: number): object {
  const passages = Array.from({ length: 24 + (index % 12) }, (_, at) => ({
    title: `Result ${at} of question ${index}`,
    url: `https://example.org/${index}/${at}`,
    score: ((index * 31 + at * 17) % 1_000) / 1_000,
    text: `Passage ${at}: `.padEnd(300, `word ${index} `),
  }));
  return { question: `question ${index}`, model: "large", tokens: index * 3, passages };
}

/** A digest of values in their order. */
export function digestOf(values: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const value of values) hash.update(value);
  return hash.digest("hex");
}

/** The sum of all elements, as a loop in JavaScript takes it. */
export function sumOf(values: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index] as number;
  return sum;
}
