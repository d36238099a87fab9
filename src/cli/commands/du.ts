/** `quiver du`: what the cache takes on disk, by namespace and as a whole. */

import type { Command } from "commander";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withCache, withLocalStore } from "../session.ts";
import { formatFacts, formatTable } from "../table.ts";

const header = [
  { title: "namespace", flexible: true },
  { title: "entries", align: "right" as const },
  { title: "values", align: "right" as const },
  { title: "on disk", align: "right" as const },
];

export function duCommand(cli: Cli): Command {
  return cli.command("du", "show what the cache takes on disk").action(
    cli.action(async (options: CommonOptions) => {
      const statistics = await withCache(options, "read", (cache) => cache.stats());
      const namespaces = Object.entries(statistics.namespaces).map(([name, part]) => ({
        name,
        entries: part.entries,
        bytes: part.bytes,
        allocated: part.allocated,
      }));
      const usage = await withLocalStore(options, "read", (store) => store.maintenance.diskUsage());
      if (options.json) {
        await cli.printJson({ namespaces, ...usage });
        return EXIT.ok;
      }
      const rows = namespaces.map(({ name, entries, bytes, allocated }) => [
        name,
        String(entries),
        formatSize(bytes),
        formatSize(allocated),
      ]);
      const sums = formatFacts([
        ["value files", formatSize(usage.objects)],
        ["catalog", `${formatSize(usage.catalog)}, ${formatSize(usage.catalogUsed)} of it in use`],
        ["unfinished or deleted", formatSize(usage.waste)],
        ["total", formatSize(usage.total)],
        ["free on the volume", formatSize(usage.free)],
      ]);
      await cli.io.write(`${formatTable(header, rows, cli.io.columns)}\n${sums}`);
      return EXIT.ok;
    }),
  );
}
