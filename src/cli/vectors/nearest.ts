/** `quiver vectors nearest`: the rows that a text is nearest to. */

import type { Command } from "commander";
import { VectorCache } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { parsePositive } from "../parse.ts";
import { formatTable } from "../table.ts";
import {
  type EmbeddingOptions,
  type VectorsOptions,
  vectorCommand,
  vectorizerOf,
  withVectorizer,
} from "./common.ts";

interface NearestOptions extends VectorsOptions, EmbeddingOptions {
  readonly count: number;
  readonly metric: "cosine" | "dot" | "euclidean";
  readonly column?: string;
}

export function nearestCommand(cli: Cli): Command {
  return withVectorizer(vectorCommand(cli, "nearest", "find the rows nearest to a text"))
    .argument("<name>", "a cache's name, or the path of its folder")
    .argument("<query>", "a text")
    .option("-k, --count <count>", "how many", parsePositive, 10)
    .addOption(cli.choice("--metric <metric>", "what near means", ["cosine", "dot", "euclidean"], "cosine"))
    .option("--column <name>", "of several columns of vectors the one to search (default: the last)")
    .action(
      cli.action(async (name: string, query: string, options: NearestOptions) => {
        const { root, json, count, metric, column } = options;
        const cache = await VectorCache.load(name, { root, ...(column === undefined ? {} : { column }) });
        const vectorizer = await vectorizerOf(options, cache.info().model);
        const found = await cache.nearest(query, { k: count, metric, vectorizer });
        const rows = found.map(({ row, score }) => ({ row, score, text: cache.text(row) }));
        if (json) {
          await cli.printJson(rows);
          return EXIT.ok;
        }
        const header = [
          { title: "row", align: "right" },
          { title: "score", align: "right" },
          { title: "text", flexible: true },
        ] as const;
        const lines = rows.map(({ row, score, text }) => [String(row), score.toFixed(4), text ?? ""]);
        await cli.io.write(formatTable(header, lines, cli.io.columns));
        return EXIT.ok;
      }),
    );
}
