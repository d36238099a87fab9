/** What a vectorizer gave, checked: finite float32 vectors of one length, for each text one or some. */

import { firstNonFinite } from "../native/vectors.ts";
import { QuiverError } from "../shared/errors.ts";
import { naturalDType } from "../tensor/dtype.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Vectors } from "./vectorizers/vectorizer.ts";

/** The vectors of some texts, as they came. */
export interface Embedded {
  readonly texts: number;
  readonly dimension: number;
  /** Vectors of each text: null for one each, a number where all have as many, else how many each has. */
  readonly chunks: null | number | Uint32Array;
  /** Their elements, part after part: all in one, or a part for each text. */
  readonly parts: readonly ArrayLike<number>[];
}

/** What a text's vectors look like: one of so many elements, or chunks of them; 0 chunks for a number that varies. */
export type Shape = readonly [dimension: number] | readonly [chunks: number, dimension: number];

export function shapeOf({ chunks, dimension }: Embedded): Shape {
  if (chunks === null) return [dimension];
  return [typeof chunks === "number" ? chunks : 0, dimension];
}

/** Throws ERR_QUIVER_VECTORIZER where vectors look different from those before. */
export function checkShape(embedded: Embedded, shape: Shape): void {
  const found = shapeOf(embedded);
  if (String(found) === String(shape)) return;
  throw refusal(`the vectorizer gave vectors [${found}] for a batch, and [${shape}] before`);
}

/** Checks the shape of what came for `texts` texts. Throws ERR_QUIVER_VECTORIZER, which says what is wrong with which text. */
export function checkVectors(vectors: Vectors, texts: number): Embedded {
  const embedded = vectors instanceof Tensor ? fromTensor(vectors) : fromList(vectors);
  if (embedded.texts !== texts) {
    throw refusal(`the vectorizer gave vectors for ${embedded.texts} texts instead of ${texts}`);
  }
  if (embedded.dimension === 0) throw refusal("the vectorizer gave vectors without elements");
  return embedded;
}

/**
 * All elements, in the memory that they came in or in that of `room`, which is asked for so many. Throws
 * ERR_QUIVER_VECTORIZER where one is no finite number.
 */
export function elementsOf(
  { parts, dimension }: Embedded,
  room: (length: number) => Float32Array = (length) => new Float32Array(length),
): Float32Array {
  const [first] = parts;
  const values =
    parts.length === 1 && first instanceof Float32Array
      ? first
      : joined(parts, room(parts.reduce((sum, part) => sum + part.length, 0)));
  const wrong = firstNonFinite(values);
  if (wrong >= 0) {
    const vector = Math.floor(wrong / dimension);
    throw refusal(`the vectorizer gave ${values[wrong]} in vector ${vector} of a batch`);
  }
  return values;
}

function joined(parts: readonly ArrayLike<number>[], values: Float32Array): Float32Array {
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return values;
}

/** The elements of a text's vectors, one vector after the other. */
export function vectorsOf({ parts, texts, dimension, chunks }: Embedded, text: number): ArrayLike<number> {
  const [all] = parts;
  if (parts.length === texts) return parts[text] as ArrayLike<number>;
  // Only where all texts have as many do they come in one part.
  const each = dimension * (typeof chunks === "number" ? chunks : 1);
  return (all as Float32Array).subarray(text * each, (text + 1) * each);
}

/** The error for vectors that can't be kept. */
export function refusal(message: string): QuiverError {
  return new QuiverError("ERR_QUIVER_VECTORIZER", message);
}

function fromTensor(tensor: Tensor): Embedded {
  const [texts, ...rest] = tensor.shape;
  const [first, second] = rest;
  if (texts === undefined || first === undefined || rest.length > 2) {
    throw refusal(`the vectorizer gave a tensor [${tensor.shape.join(", ")}]`);
  }
  const parts = [float32(tensor)];
  return second === undefined
    ? { texts, dimension: first, chunks: null, parts }
    : { texts, dimension: second, chunks: first, parts };
}

function fromList(vectors: unknown): Embedded {
  if (!Array.isArray(vectors)) throw refusal("the vectorizer gave neither a tensor nor a list of vectors");
  const rows = vectors.map(rowOf);
  const ranks = new Set(rows.map(({ chunks }) => chunks === null));
  if (ranks.size > 1) throw refusal("the vectorizer gave one vector for some texts and several for others");
  const dimension = rows.find((row) => row.dimension > 0)?.dimension ?? 0;
  const odd = rows.findIndex((row) => row.dimension !== dimension);
  if (odd >= 0) {
    throw refusal(
      `the vectorizer gave vectors of ${rows[odd]?.dimension} elements for text ${odd} of a batch, not ${dimension}`,
    );
  }
  const chunks = ranks.has(false) ? Uint32Array.from(rows, (row) => row.chunks ?? 0) : null;
  return { texts: rows.length, dimension, chunks, parts: rows.map(({ values }) => values) };
}

interface Row {
  readonly chunks: number | null;
  readonly dimension: number;
  readonly values: ArrayLike<number>;
}

/** The vector of one text, or its vectors. */
function rowOf(row: unknown): Row {
  if (row instanceof Tensor) {
    const [first = 0, second] = row.shape;
    if (row.shape.length > 2)
      throw refusal(`the vectorizer gave a tensor [${row.shape.join(", ")}] for a text`);
    const values = float32(row);
    return second === undefined
      ? { chunks: null, dimension: first, values }
      : { chunks: first, dimension: second, values };
  }
  if (naturalDType(row) !== undefined) {
    const values = row as Float32Array | Float64Array;
    return { chunks: null, dimension: values.length, values };
  }
  if (!Array.isArray(row)) throw refusal("the vectorizer gave something else than a vector for a text");
  if (!Array.isArray(row[0])) return { chunks: null, dimension: row.length, values: row as number[] };
  const inner = (row as number[][]).map((vector) => vector.length);
  const dimension = inner[0] ?? 0;
  if (inner.some((length) => length !== dimension))
    throw refusal("the chunks of a text have vectors of different lengths");
  return { chunks: row.length, dimension, values: (row as number[][]).flat() };
}

function float32(tensor: Tensor): Float32Array {
  if (tensor.dtype === "float32") return tensor.data as Float32Array;
  if (tensor.dtype === "float64") return Float32Array.from(tensor.data as Float64Array);
  return Float32Array.from([tensor.toArray()].flat(4) as number[]);
}
