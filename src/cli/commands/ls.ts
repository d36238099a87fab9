/** `quiver ls`: the namespaces, or the entries of one. */

import type { Command } from "commander";
import type { EntryInfo } from "../../cache/namespace.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { ago, shortDigest } from "../format.ts";
import { parseCount } from "../parse.ts";
import { existingNamespace, withCache } from "../session.ts";
import { formatTable } from "../table.ts";

const orders = {
  key: undefined,
  size: (left: EntryInfo, right: EntryInfo): number => right.size - left.size,
  age: (left: EntryInfo, right: EntryInfo): number => left.createdAt - right.createdAt,
  access: (left: EntryInfo, right: EntryInfo): number => right.lastAccessed - left.lastAccessed,
} as const;

interface LsOptions extends CommonOptions {
  readonly prefix?: string;
  readonly limit?: number;
  readonly sort: keyof typeof orders;
}

const DEFAULT_LIMIT = 1000;

export function lsCommand(cli: Cli): Command {
  return cli
    .command("ls", "list the namespaces, or the entries of one")
    .argument("[namespace]")
    .option("-p, --prefix <prefix>", "only keys that start with it")
    .option(
      "-n, --limit <count>",
      `at most so many entries (default: ${DEFAULT_LIMIT}, with --json all)`,
      parseCount,
    )
    .addOption(cli.choice("-s, --sort <order>", "order of the entries", Object.keys(orders), "key"))
    .action(
      cli.action((namespace: string | undefined, options: LsOptions) =>
        namespace === undefined ? listNamespaces(cli, options) : listEntries(cli, namespace, options),
      ),
    );
}

async function listNamespaces(cli: Cli, options: LsOptions): Promise<0> {
  const { namespaces } = await withCache(options, "read", (cache) => cache.stats());
  const facts = Object.entries(namespaces).map(([name, { entries, bytes, newestAccess }]) => ({
    name,
    entries,
    bytes,
    newestAccess,
  }));
  if (options.json) {
    await cli.printJson(facts);
    return EXIT.ok;
  }
  const header = [
    { title: "namespace", flexible: true },
    { title: "entries", align: "right" as const },
    { title: "size", align: "right" as const },
    { title: "last access" },
  ];
  const rows = facts.map(({ name, entries, bytes, newestAccess }) => [
    name,
    String(entries),
    formatSize(bytes),
    ago(newestAccess),
  ]);
  await cli.io.write(formatTable(header, rows, cli.io.columns));
  return EXIT.ok;
}

async function listEntries(cli: Cli, name: string, options: LsOptions): Promise<0> {
  const limit = options.limit ?? (options.json ? Number.POSITIVE_INFINITY : DEFAULT_LIMIT);
  const compare = orders[options.sort];
  const { shown, total } = await withCache(options, "read", async (cache) => {
    const namespace = await existingNamespace(cache, name);
    const prefix = options.prefix === undefined ? {} : { prefix: options.prefix };
    const infos: EntryInfo[] = [];
    let count = 0;
    for await (const [, info] of namespace.entries(prefix)) {
      count += 1;
      // Any other order than that of keys can only be told when all are known.
      if (compare !== undefined || count <= limit) infos.push(info);
    }
    if (compare !== undefined) infos.sort(compare);
    return { shown: infos.slice(0, limit), total: count };
  });
  if (options.json) {
    await cli.printJson(shown);
    return EXIT.ok;
  }
  const header = [
    { title: "key", flexible: true },
    { title: "size", align: "right" as const },
    { title: "age", align: "right" as const },
    { title: "last access", align: "right" as const },
    { title: "count", align: "right" as const },
    { title: "codec" },
    { title: "checksum" },
  ];
  const rows = shown.map((info) => [
    info.key,
    formatSize(info.size),
    ago(info.createdAt),
    ago(info.lastAccessed),
    String(info.accessCount),
    info.codec,
    shortDigest(info.digest),
  ]);
  await cli.io.write(formatTable(header, rows, cli.io.columns));
  if (total > shown.length) cli.io.note(`${shown.length} of ${total} entries; --limit shows more\n`);
  return EXIT.ok;
}
