/** `quiver info`: what is known of one entry, and its value's head. */

import type { Command } from "commander";
import type { EntryInfo } from "../../cache/namespace.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { describeValue, headLine, type ValueHead } from "../describe-value.ts";
import { EXIT } from "../exit.ts";
import { ago, timestamp } from "../format.ts";
import { existingNamespace, missing, withCache } from "../session.ts";
import { formatFacts } from "../table.ts";

export function infoCommand(cli: Cli): Command {
  return cli
    .command("info", "show an entry: its facts, and shape, dtype, extremes, mean and first values")
    .argument("<namespace>")
    .argument("<key>")
    .action(
      cli.action(async (name: string, key: string, options: CommonOptions) => {
        const { info, head } = await withCache(options, "read", async (cache) => {
          const namespace = await existingNamespace(cache, name);
          const facts = await namespace.info(key);
          if (facts === undefined) throw missing(name, key);
          return { info: facts, head: await describeValue(await namespace.get(key)) };
        });
        if (options.json) await cli.printJson({ ...info, head });
        else await cli.io.write(formatFacts(factLines(info, head)));
        return EXIT.ok;
      }),
    );
}

function factLines(info: EntryInfo, head: readonly ValueHead[]): (readonly [string, string])[] {
  const lines: (readonly [string, string | undefined])[] = [
    ["key", info.key],
    ["size", `${formatSize(info.size)} (${info.size} bytes)`],
    ["codec", info.codec],
    ["checksum", info.digest],
    ["created", `${timestamp(info.createdAt)} (${ago(info.createdAt)} ago)`],
    ["expires", timestamp(info.expiresAt)],
    [
      "last access",
      `${timestamp(info.lastAccessed)} (${info.accessCount === 1 ? "1 access" : `${info.accessCount} accesses`})`,
    ],
    ["priority", info.pinned ? `${info.priority}, pinned` : String(info.priority)],
    ["tags", info.tags.length > 0 ? info.tags.join(", ") : undefined],
    ["metadata", info.metadata && JSON.stringify(info.metadata)],
    ["file", info.path],
    ...head.map((part) => ["value", headLine(part)] as const),
  ];
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}
