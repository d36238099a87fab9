/** `quiver vectors extend`: another column of vectors, or more texts. */

import type { Command } from "commander";
import { VectorCache } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
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

interface ExtendOptions extends VectorsOptions, EmbeddingOptions {
  readonly column?: string;
  readonly field?: string;
  readonly lossy?: boolean;
  readonly as?: string;
  readonly overwrite?: boolean;
}

export function extendCommand(cli: Cli): Command {
  return withEmbedding(
    cli,
    vectorCommand(cli, "extend", "add a column of another model's vectors, or more texts"),
  )
    .argument("<name>")
    .argument("[file]", "texts to add; with --column those of the rows, where the cache doesn't keep them")
    .option("--column <name>", "name of the new column")
    .option("--overwrite", "replace a column of this name")
    .option("--as <name>", "keep the extended cache under another name")
    .option("--field <name>", "the field of JSON lines that holds the text (default: text)")
    .option("--lossy", "take U+FFFD for bytes that are no UTF-8")
    .action(
      cli.action(async (name: string, file: string | undefined, options: ExtendOptions) => {
        const { root, column, as, overwrite } = options;
        const old = await VectorCache.load(name, { root });
        const texts = file === undefined ? undefined : await readTexts(cli.io, { ...options, file });
        const vectorizer = await vectorizerOf(options, column === undefined ? old.info().model : null);
        const cache = await embedding(cli, options, vectorizer, (common) =>
          old.extend({
            ...common,
            ...(column === undefined ? {} : { column }),
            ...(texts === undefined ? {} : { texts }),
            ...(as === undefined ? {} : { name: as }),
            ...(overwrite === undefined ? {} : { overwrite }),
          }),
        );
        await tellCache(cli, cache, options.json);
        return EXIT.ok;
      }),
    );
}
