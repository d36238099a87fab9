/** What metadata.json says of a vector cache, in the forms that it has had. */

import { QuiverError } from "../shared/errors.ts";

/** A column of vectors as its metadata describe it. */
export interface ColumnMetadata {
  readonly model: string | null;
  /** Elements of a vector, as the metadata say; the data decide. */
  readonly dimension: number | null;
  /** The longest input in tokens; null where unknown. */
  readonly contextSize: number | null;
  /** What int8 elements stand for: (value - zeroPoint) * scale. */
  readonly quantization: Quantization | null;
}

export interface Quantization {
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface VectorMetadata {
  /** Vector columns by name, in their order. */
  readonly columns: ReadonlyMap<string, ColumnMetadata>;
  /** How many rows there should be; null where it isn't said. */
  readonly size: number | null;
  readonly createdAt: Date | null;
  /** All that the file says. */
  readonly all: Readonly<Record<string, unknown>>;
}

/** The version of the metadata's form that Python writes. */
const VERSION = "0.1.0";
const FORMAT = "huggingface_datasets_v1";

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads the text of a metadata.json: one flat object, or an object a column. `present` are the columns of the data,
 * among which a flat one's column is looked for. Throws ERR_QUIVER_CORRUPT for anything else than an object.
 */
export function parseMetadata(text: string, name: string, present: readonly string[]): VectorMetadata {
  const all = objectIn(text);
  if (all === undefined) throw corrupted(name, "metadata.json is not a JSON object");
  const entries = Object.entries(all).filter(
    (entry): entry is [string, Fields] =>
      isObject(entry[1]) && ("tensordtype" in entry[1] || "model_tag" in entry[1]),
  );
  const flat = ["embeddings", "embedding"].find((column) => present.includes(column));
  const columns: [string, ColumnMetadata][] =
    entries.length > 0
      ? entries.map(([column, fields]) => [column, columnIn(fields)])
      : flat === undefined
        ? []
        : [[flat, columnIn(all)]];
  return {
    columns: new Map(columns),
    size: numberIn(all["num_samples"]) ?? numberIn(all["num_observations"]),
    createdAt: dateIn(all["created_at"]),
    all,
  };
}

/** The error for a folder that is no complete cache. */
export function corrupted(name: string, why: string, cause?: unknown): QuiverError {
  return new QuiverError("ERR_QUIVER_CORRUPT", `the vector cache "${name}" is corrupted: ${why}`, {
    hint: "Its creation was cut short, or another program changed it.",
    fix: "Delete its folder and create it again.",
    cause,
  });
}

/** What is known of a new column. */
export interface ColumnFacts {
  readonly model: string;
  readonly dimension: number;
  /** Axes of a text's vectors: 1, or 2 where texts have several. */
  readonly rank: 1 | 2;
  readonly contextSize: number | null;
  /** Chunks of a text, and how many texts have as many; null for one vector a text. */
  readonly chunkSizes: ReadonlyMap<number, number> | null;
  readonly quantization: Quantization | null;
}

/** Names that columns can't have: what the metadata say beside them. */
const RESERVED: ReadonlySet<string> = new Set([
  "vectormesh_version",
  "model_name",
  "embedding_dim",
  "num_samples",
  "created_at",
  "cache_format",
  "output_mode",
  "features",
  "num_observations",
]);

/** Whether a column may be called so. */
export function isFreeName(column: string): boolean {
  return column !== "" && !RESERVED.has(column);
}

/** The text of a new metadata.json: the flat form and the one by column in one, as Python reads either. */
export function createdMetadata(
  column: string,
  facts: ColumnFacts,
  features: readonly string[],
  rows: number,
  createdAt: Date,
): string {
  return textOf({
    vectormesh_version: VERSION,
    model_name: facts.model,
    embedding_dim: facts.dimension,
    num_samples: rows,
    created_at: createdAt.toISOString(),
    cache_format: FORMAT,
    output_mode: facts.rank === 1 ? "2d" : "3d",
    [column]: fieldsOf(facts),
    features,
    num_observations: rows,
  });
}

/** The text of the metadata.json of a cache that has one more column: all that the old one says stays. */
export function extendedMetadata(
  old: Fields,
  column: string,
  facts: ColumnFacts,
  features: readonly string[],
  rows: number,
  createdAt: Date,
): string {
  return textOf({
    ...old,
    [column]: fieldsOf(facts),
    features,
    created_at: createdAt.toISOString(),
    num_observations: rows,
  });
}

function fieldsOf({ model, dimension, rank, contextSize, chunkSizes, quantization }: ColumnFacts): Fields {
  const sizes = chunkSizes && [...chunkSizes].sort(([one], [other]) => one - other);
  return {
    vectormesh_version: VERSION,
    model_tag: model,
    vectorizer_type: "Vectorizer",
    tensordtype: rank,
    hidden_size: dimension,
    context_size: contextSize,
    chunk_sizes: sizes && Object.fromEntries(sizes),
    ...(quantization && {
      quantization: { scale: quantization.scale, zero_point: quantization.zeroPoint },
    }),
  };
}

function textOf(fields: Fields): string {
  return `${JSON.stringify(fields, null, 2)}\n`;
}

function columnIn(fields: Fields): ColumnMetadata {
  const { quantization } = fields;
  const scale = isObject(quantization) ? numberIn(quantization["scale"]) : null;
  const zeroPoint = isObject(quantization) ? numberIn(quantization["zero_point"]) : null;
  return {
    model: stringIn(fields["model_tag"]) ?? stringIn(fields["model_name"]),
    dimension: numberIn(fields["hidden_size"]) ?? numberIn(fields["embedding_dim"]),
    contextSize: numberIn(fields["context_size"]),
    quantization: scale === null || zeroPoint === null ? null : { scale, zeroPoint },
  };
}

function objectIn(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberIn(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function stringIn(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** With a zone or, as Python writes it, without one in local time. */
function dateIn(value: unknown): Date | null {
  const date = new Date(stringIn(value) ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}
