/** What a creation is told, checked once. */

import * as read from "../cache/option-readers.ts";
import { parseShardSize } from "../datasets/shard-size.ts";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import type { StoredDType } from "./elements.ts";
import { checkName, rootOf } from "./folders.ts";
import type { Quantization } from "./metadata.ts";
import type { Vectorizer } from "./vectorizers/vectorizer.ts";

/** How far a creation is. */
export interface CreateProgress {
  readonly done: number;
  readonly total: number;
  /** Texts a second since this call began; 0 before the first batch. */
  readonly rate: number;
  /** Milliseconds until the end at that rate; null before the first batch. */
  readonly remaining: number | null;
}

/** How texts are embedded and their vectors kept. */
export interface EmbedIntoOptions {
  readonly vectorizer: Vectorizer;
  /** Texts that the vectorizer gets at a time. Default: 32. */
  readonly batchSize?: number;
  /** Calls of the vectorizer at a time; each may hold a batch. Default: 1. */
  readonly concurrency?: number;
  /** Most bytes of a file, in decimal units as Hugging Face counts: "500MB" is 500,000,000. Default: "500MB". */
  readonly maxShardSize?: number | string;
  /** How many files, in place of a size. */
  readonly numShards?: number;
  /** How elements are kept; float16 and int8 round them. Default: "float32". */
  readonly dtype?: StoredDType;
  /** Of int8: what elements stand for. Default: a scale of 1/127 around 0, which fits vectors of length 1. */
  readonly quantization?: Quantization;
  /** Whether an interrupted creation is kept and taken up by the same call. Default: true. */
  readonly resume?: boolean;
  /**
   * Whether vectors of equal texts are taken from other caches of the same model under `root`: those of float32, and
   * those rounded as the new ones will be, but none that are filled up. Default: true.
   */
  readonly reuse?: boolean;
  /** Told after each batch. */
  readonly onProgress?: (progress: CreateProgress) => void;
  readonly signal?: AbortSignal;
}

/** Options of `VectorCache.create`. */
export interface CreateOptions extends EmbedIntoOptions {
  /** One folder's name. A cache of this name is replaced when the new one is complete. */
  readonly name: string;
  readonly texts: readonly string[];
  /** Folder of the caches. Default: ".vmcache". */
  readonly root?: string;
  /** Whether the texts are kept beside the vectors, as column `text`; `extend` needs them. Default: true. */
  readonly keepTexts?: boolean;
  /**
   * Of texts with several vectors: how many each text gets, those of shorter ones filled up with zeros and those of
   * longer ones cut; a column `masks` tells the real ones. Default: as many as there are.
   */
  readonly padTo?: number;
}

/** Names of what both ways to embed texts into a folder take. */
export const EMBED_INTO_OPTIONS: OptionNames<EmbedIntoOptions> = {
  vectorizer: true,
  batchSize: true,
  concurrency: true,
  maxShardSize: true,
  numShards: true,
  dtype: true,
  quantization: true,
  resume: true,
  reuse: true,
  onProgress: true,
  signal: true,
};
const CREATE_OPTIONS: OptionNames<CreateOptions> = {
  ...EMBED_INTO_OPTIONS,
  name: true,
  texts: true,
  root: true,
  keepTexts: true,
  padTo: true,
};
const QUANTIZATION: OptionNames<Quantization> = { scale: true, zeroPoint: true };

/** How texts are embedded, checked. */
export interface EmbeddingPlan {
  readonly texts: readonly string[];
  readonly vectorizer: Vectorizer;
  readonly root: string;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly shardBytes: number;
  readonly shards: number | undefined;
  readonly dtype: StoredDType;
  readonly quantization: Quantization;
  /** 0 where texts keep as many vectors as they have. */
  readonly padTo: number;
  readonly resume: boolean;
  readonly reuse: boolean;
  readonly onProgress: (progress: CreateProgress) => void;
  readonly signal: AbortSignal | undefined;
}

export interface CreationPlan extends EmbeddingPlan {
  readonly name: string;
  readonly keepTexts: boolean;
}

export function creationPlan(options: CreateOptions): CreationPlan {
  checkOptions(options, CREATE_OPTIONS);
  const name = checkName(options.name);
  const { texts, keepTexts = true, padTo } = options;
  const plan = embeddingPlan(texts, rootOf(options), options);
  const padded = padTo === undefined ? 0 : positive(padTo, "padTo");
  return { ...plan, name, keepTexts: read.flag(keepTexts, "keepTexts"), padTo: padded };
}

export function embeddingPlan(
  texts: readonly string[],
  root: string,
  options: EmbedIntoOptions,
): EmbeddingPlan {
  checkTexts(texts);
  const { vectorizer, dtype = "float32", numShards, maxShardSize } = options;
  if (
    typeof vectorizer?.embed !== "function" ||
    typeof vectorizer.model !== "string" ||
    vectorizer.model === ""
  ) {
    throw badOption("vectorizer", vectorizer, "an object with a model's name and embed");
  }
  if (numShards !== undefined && maxShardSize !== undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "numShards and maxShardSize exclude each other", {
      fix: "Give one of them.",
    });
  }
  if (numShards !== undefined && numShards > texts.length) {
    throw badOption("numShards", numShards, `a number up to that of the texts, ${texts.length}`);
  }
  return {
    texts,
    vectorizer,
    root,
    batchSize: positive(options.batchSize ?? 32, "batchSize"),
    concurrency: positive(options.concurrency ?? 1, "concurrency"),
    shardBytes: parseShardSize(maxShardSize ?? "500MB"),
    shards: numShards === undefined ? undefined : positive(numShards, "numShards"),
    dtype: read.oneOf("float32", "float16", "int8")(dtype, "dtype"),
    quantization: checkQuantization(options.quantization ?? { scale: 1 / 127, zeroPoint: 0 }),
    padTo: 0,
    resume: read.flag(options.resume ?? true, "resume"),
    reuse: read.flag(options.reuse ?? true, "reuse"),
    onProgress: read.callable(options.onProgress ?? (() => undefined), "onProgress"),
    signal: options.signal,
  };
}

function checkTexts(texts: unknown): void {
  if (!Array.isArray(texts)) throw badOption("texts", texts, "a list of strings");
  if (texts.length === 0) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "texts is empty", {
      hint: "A vector cache needs at least one text.",
      fix: "Pass a list that has some.",
    });
  }
  const odd = texts.findIndex((text) => typeof text !== "string");
  if (odd >= 0) throw badOption(`texts[${odd}]`, texts[odd], "a string");
}

function checkQuantization(quantization: Quantization): Quantization {
  checkOptions(quantization, QUANTIZATION, "quantization");
  const { scale, zeroPoint } = quantization;
  if (!(scale > 0) || !Number.isFinite(scale)) {
    throw badOption("quantization.scale", scale, "a number above 0");
  }
  if (!Number.isInteger(zeroPoint) || zeroPoint < -128 || zeroPoint > 127) {
    throw badOption("quantization.zeroPoint", zeroPoint, "a whole number from -128 to 127");
  }
  return { scale, zeroPoint };
}

function positive(value: unknown, field: string): number {
  const number = read.count(value, field);
  if (number === 0) throw badOption(field, value, "a whole number above 0");
  return number;
}
