/** `quiver vectors create`: texts to a new vector cache. */

import type { Command } from "commander";
import { VectorCache } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { parsePositive } from "../parse.ts";
import {
  type EmbeddingOptions,
  embedding,
  type VectorsOptions,
  vectorCommand,
  vectorizerOf,
  withEmbedding,
} from "./common.ts";
import { tellCache } from "./info.ts";
import { readTexts } from "./texts.ts";

interface CreateOptions extends VectorsOptions, EmbeddingOptions {
  readonly field?: string;
  readonly lossy?: boolean;
  readonly texts: boolean;
  readonly padTo?: number;
}

export function createCommand(cli: Cli): Command {
  return withEmbedding(cli, vectorCommand(cli, "create", "embed texts, one a line, into a new cache"))
    .argument("<name>")
    .argument("[file]", "texts: lines, or objects where it ends in .jsonl; - for standard input", "-")
    .option("--field <name>", "the field of JSON lines that holds the text (default: text)")
    .option("--lossy", "take U+FFFD for bytes that are no UTF-8")
    .option("--no-texts", "don't keep the texts beside the vectors")
    .option("--pad-to <count>", "vectors of each text, where texts have several", parsePositive)
    .action(
      cli.action(async (name: string, file: string, options: CreateOptions) => {
        const { root, padTo, texts: keepTexts } = options;
        const texts = await readTexts(cli.io, { ...options, file });
        const vectorizer = await vectorizerOf(options);
        const cache = await embedding(cli, options, vectorizer, (common) =>
          VectorCache.create({
            ...common,
            name,
            root,
            texts,
            keepTexts,
            ...(padTo === undefined ? {} : { padTo }),
          }),
        );
        await tellCache(cli, cache, options.json);
        return EXIT.ok;
      }),
    );
}
