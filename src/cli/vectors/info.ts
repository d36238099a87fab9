/** `quiver vectors info`: the caches of a root, or all that is known of one. */

import type { Command } from "commander";
import { formatSize } from "../../shared/units.ts";
import { VectorCache, type VectorCacheInfo } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { ago, timestamp } from "../format.ts";
import { formatFacts, formatTable } from "../table.ts";
import { type VectorsOptions, vectorCommand } from "./common.ts";

export function infoCommand(cli: Cli): Command {
  return vectorCommand(cli, "info", "list the caches, or show one")
    .argument("[name]", "a cache's name, or the path of its folder")
    .option("--column <name>", "of several columns of vectors the one to look at (default: the last)")
    .action(
      cli.action(async (name: string | undefined, options: VectorsOptions & { readonly column?: string }) => {
        const { root, json, column } = options;
        if (name !== undefined) {
          const cache = await VectorCache.load(name, { root, ...(column === undefined ? {} : { column }) });
          await tellCache(cli, cache, json);
        } else {
          await tellList(cli, root, json);
        }
        return EXIT.ok;
      }),
    );
}

/** Shows a cache's facts. */
export async function tellCache(cli: Cli, cache: VectorCache, json: boolean | undefined): Promise<void> {
  const info = cache.info();
  if (json) {
    await cli.printJson(info);
    return;
  }
  const { createdAt } = info;
  const created = createdAt?.getTime() ?? null;
  await cli.io.write(
    formatFacts([
      ["name", info.name],
      ["texts", String(info.size)],
      ["shape", `[${cache.shape.map((size) => size ?? "*").join(", ")}] ${info.dtype}`],
      ["model", info.model ?? "unknown"],
      ["columns", info.columns.join(", ")],
      ["size", `${formatSize(info.bytes)} in ${info.files} file${info.files === 1 ? "" : "s"}`],
      ["created", created === null ? "unknown" : `${timestamp(created)} (${ago(created)} ago)`],
      ["folder", info.path],
    ]),
  );
}

async function tellList(cli: Cli, root: string, json: boolean | undefined): Promise<void> {
  const infos: (VectorCacheInfo | { readonly name: string; readonly problem: string })[] = [];
  for (const name of await VectorCache.list({ root })) {
    try {
      infos.push((await VectorCache.load(name, { root })).info());
    } catch (error) {
      infos.push({ name, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  const unfinished = await VectorCache.unfinished({ root });
  if (json) {
    await cli.printJson({ caches: infos, unfinished });
    return;
  }
  const rows = infos.map((info) =>
    "problem" in info
      ? [info.name, "-", "-", "-", info.problem]
      : [
          info.name,
          String(info.size),
          String(info.dimension),
          formatSize(info.bytes),
          info.model ?? "unknown",
        ],
  );
  const header = [
    { title: "name", flexible: true },
    { title: "texts", align: "right" },
    { title: "dimension", align: "right" },
    { title: "size", align: "right" },
    { title: "model", flexible: true },
  ] as const;
  await cli.io.write(formatTable(header, rows, cli.io.columns));
  for (const name of unfinished) {
    cli.io.note(cli.line(`unfinished: ${name}; the command that makes it goes on where it was interrupted`));
  }
}
