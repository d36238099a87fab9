/** What the vector commands share: their root, the vectorizer, how texts are embedded. */

import type { Command } from "commander";
import { QuiverError } from "../../shared/errors.ts";
import { DEFAULT_ROOT } from "../../vectors/folders.ts";
import type { CreateProgress, EmbedIntoOptions } from "../../vectors/options.ts";
import { hashingVectorizer, vectorizerOfModel } from "../../vectors/vectorizers/hashing.ts";
import type { Vectorizer } from "../../vectors/vectorizers/vectorizer.ts";
import type { Cli } from "../cli.ts";
import { loadModule } from "../load-module.ts";
import { parsePositive } from "../parse.ts";
import { startProgress } from "../progress.ts";

/** Options of every vector command. */
export interface VectorsOptions {
  readonly root: string;
  readonly json?: boolean;
}

/** A new command that takes the common options. */
export function vectorCommand(cli: Cli, name: string, description: string): Command {
  return cli
    .group(name, description)
    .option("-r, --root <directory>", "folder of the vector caches", DEFAULT_ROOT)
    .option("--json", "print the result as JSON");
}

/** Options that say how texts become vectors. */
export interface EmbeddingOptions {
  readonly vectorizer?: string;
  readonly dimension?: number;
  readonly batch?: number;
  readonly concurrency?: number;
  readonly dtype?: "float32" | "float16" | "int8";
  readonly maxShardSize?: string;
  readonly shards?: number;
  readonly resume: boolean;
  readonly reuse: boolean;
}

export function withVectorizer(command: Command): Command {
  return command
    .option(
      "--vectorizer <module>",
      "path of a JavaScript module whose default export is a vectorizer (default: hashed n-grams, which are lexical)",
    )
    .option("--dimension <count>", "elements of a vector of hashed n-grams (default: 384)", parsePositive);
}

export function withEmbedding(cli: Cli, command: Command): Command {
  return withVectorizer(command)
    .option("--batch <count>", "texts that the vectorizer gets at a time (default: 32)", parsePositive)
    .option("--concurrency <count>", "calls of the vectorizer at a time (default: 1)", parsePositive)
    .addOption(cli.choice("--dtype <dtype>", "how elements are kept", ["float32", "float16", "int8"]))
    .option("--max-shard-size <size>", "most bytes of a file (default: 500MB)")
    .option("--shards <count>", "how many files, in place of a size", parsePositive)
    .option("--no-resume", "start anew, and keep nothing when interrupted")
    .option("--no-reuse", "embed texts again that other caches of the root have");
}

/** The vectorizer that the options name, or else the one of hashed n-grams that a cache was made with. */
export async function vectorizerOf(
  { vectorizer, dimension }: Pick<EmbeddingOptions, "vectorizer" | "dimension">,
  model: string | null = null,
): Promise<Vectorizer> {
  if (vectorizer !== undefined) return loadVectorizer(vectorizer);
  const known = model === null || dimension !== undefined ? undefined : vectorizerOfModel(model);
  return known ?? hashingVectorizer(dimension === undefined ? {} : { dimension });
}

async function loadVectorizer(path: string): Promise<Vectorizer> {
  const { file, exports } = await loadModule(path);
  const vectorizer = exports["default"] as Partial<Vectorizer> | undefined;
  if (typeof vectorizer?.embed === "function" && typeof vectorizer.model === "string") {
    return vectorizer as Vectorizer;
  }
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${file} exports no vectorizer`, {
    path: file,
    fix: "Export as default an object with `model`, a name, and `embed(texts)`.",
  });
}

/** Embeds with progress on the notes; Ctrl-C stops between batches, and the same command goes on. */
export async function embedding<T>(
  cli: Cli,
  options: EmbeddingOptions,
  vectorizer: Vectorizer,
  run: (options: EmbedIntoOptions) => Promise<T>,
): Promise<T> {
  const { batch, concurrency, dtype, maxShardSize, shards, resume, reuse } = options;
  const progress = startProgress(cli.io, "embedding");
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.once("SIGINT", interrupt);
  try {
    return await run({
      vectorizer,
      resume,
      reuse,
      signal: interruption.signal,
      onProgress: (state) => progress.update(state.done, state.total, pace(state)),
      ...(batch === undefined ? {} : { batchSize: batch }),
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(dtype === undefined ? {} : { dtype }),
      ...(maxShardSize === undefined ? {} : { maxShardSize }),
      ...(shards === undefined ? {} : { numShards: shards }),
    });
  } finally {
    process.removeListener("SIGINT", interrupt);
    progress.end();
  }
}

function pace({ rate, remaining }: CreateProgress): string {
  if (remaining === null) return "";
  return `${Math.round(rate)} a second, ${Math.ceil(remaining / 1000)} s left`;
}
