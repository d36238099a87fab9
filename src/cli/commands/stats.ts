/** `quiver stats`: what each namespace holds and how it is used, and the sums. */

import type { Command } from "commander";
import type { Statistics } from "../../cache/statistics.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { ago } from "../format.ts";
import { withCache } from "../session.ts";
import { type Column, formatTable } from "../table.ts";

const right = { align: "right" } as const;
const header: readonly Column[] = [
  { title: "namespace", flexible: true },
  { title: "entries", ...right },
  { title: "size", ...right },
  { title: "on disk", ...right },
  { title: "hits", ...right },
  { title: "misses", ...right },
  { title: "hit rate", ...right },
  { title: "evicted", ...right },
  { title: "expired", ...right },
  { title: "last access", ...right },
];

export function statsCommand(cli: Cli): Command {
  return cli.command("stats", "show sizes, hits and misses of each namespace and of all").action(
    cli.action(async (options: CommonOptions) => {
      // Hits and misses of all processes are known only to those that may also add to them.
      const statistics = await withCache(options, "write", (cache) => cache.stats());
      if (options.json) {
        await cli.printJson(statistics);
        return EXIT.ok;
      }
      const rows = Object.entries(statistics.namespaces).map(([name, part]) => row(name, part));
      await cli.io.write(formatTable(header, [...rows, row("all", statistics)], cli.io.columns));
      return EXIT.ok;
    }),
  );
}

function row(name: string, part: Statistics): readonly string[] {
  const lookedUp = part.hits + part.misses > 0;
  return [
    name,
    String(part.entries),
    formatSize(part.bytes),
    formatSize(part.allocated),
    String(part.hits),
    String(part.misses),
    lookedUp ? `${(part.hitRate * 100).toFixed(1)} %` : "-",
    String(part.evictions),
    String(part.expired),
    ago(part.newestAccess),
  ];
}
