/** `quiver top`: what happens in a cache now, by namespace, again and again. */

import { setTimeout as pause } from "node:timers/promises";
import type { Command } from "commander";
import type { Metrics, NamespaceMetrics } from "../../cache/metrics.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { parsePositive, parseSeconds } from "../parse.ts";
import { withCache } from "../session.ts";
import { type Column, formatTable } from "../table.ts";

interface TopOptions extends CommonOptions {
  readonly interval: number;
  readonly count?: number;
}

const right = { align: "right" } as const;
const header: readonly Column[] = [
  { title: "namespace", flexible: true },
  { title: "entries", ...right },
  { title: "on disk", ...right },
  { title: "of limit", ...right },
  { title: "hits/s", ...right },
  { title: "misses/s", ...right },
  { title: "writes/s", ...right },
  { title: "evicted/s", ...right },
  { title: "expired/s", ...right },
  { title: "failures/s", ...right },
];

const CLEAR = "\u001b[H\u001b[J";

export function topCommand(cli: Cli): Command {
  return cli
    .command("top", "show what happens in the cache now, until it is interrupted")
    .option("-i, --interval <seconds>", "time between two looks", parseSeconds, 5)
    .option("-c, --count <looks>", "end after so many", parsePositive)
    .action(
      cli.action(async (options: TopOptions) => {
        // Counts of all processes are known only to those that may also add to them.
        await withCache(options, "write", async (cache) => {
          let before = await cache.metrics();
          for (let look = 0; look < (options.count ?? Number.POSITIVE_INFINITY); look++) {
            await pause(options.interval * 1000);
            const after = await cache.metrics();
            await show(cli, options, before, after);
            before = after;
          }
        });
        return EXIT.ok;
      }),
    );
}

async function show(cli: Cli, options: TopOptions, before: Metrics, after: Metrics): Promise<void> {
  if (options.json) return cli.printJson(after);
  const seconds = (after.at - before.at) / 1000;
  const rows = Object.entries(after.namespaces).map(([name, numbers]) =>
    row(name, before.namespaces[name], numbers, seconds),
  );
  const volume = after.volume === undefined ? "" : `, ${formatSize(after.volume.free)} free on the volume`;
  const title = `${new Date(after.at).toISOString()}  ${share(after.limitShare)} of the limit${volume}\n`;
  const text = title + formatTable(header, rows, cli.io.columns);
  await cli.io.write(cli.io.isTerminal ? CLEAR + text : text);
}

function row(
  name: string,
  before: NamespaceMetrics | undefined,
  after: NamespaceMetrics,
  seconds: number,
): readonly string[] {
  const rate = (count: (numbers: NamespaceMetrics) => number): string =>
    ((count(after) - (before === undefined ? 0 : count(before))) / seconds).toFixed(1);
  return [
    name,
    String(after.entries),
    formatSize(after.allocated),
    share(after.limitShare),
    rate((numbers) => numbers.hits),
    rate((numbers) => numbers.misses),
    rate((numbers) => numbers.sets),
    rate((numbers) => numbers.evictions),
    rate((numbers) => numbers.expired),
    rate((numbers) => numbers.errors),
  ];
}

function share(part: number | null): string {
  return part === null ? "-" : `${(part * 100).toFixed(1)} %`;
}
