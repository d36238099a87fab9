/** `quiver du`: what the cache takes on disk, by namespace and as a whole. */

import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { rootOf, withCache } from "../session.ts";
import { formatTable } from "../table.ts";

const header = [
  { title: "namespace", flexible: true },
  { title: "entries", align: "right" as const },
  { title: "values", align: "right" as const },
  { title: "on disk", align: "right" as const },
];

/** What `st_blocks` counts in, whatever the file system's own blocks are. */
const BLOCK = 512;

export function duCommand(cli: Cli): Command {
  return cli.command("du", "show what the cache takes on disk; reads the facts of every file").action(
    cli.action(async (options: CommonOptions) => {
      const { namespaces, entries, bytes } = await withCache(options, "read", (cache) => cache.stats());
      const directory = await allocatedUnder(rootOf(options), new Set());
      const parts = Object.entries(namespaces).map(([name, part]) => ({
        name,
        entries: part.entries,
        bytes: part.bytes,
        allocated: part.allocated,
      }));
      if (options.json) {
        await cli.printJson({ namespaces: parts, directory });
        return EXIT.ok;
      }
      const rows = parts.map((part) => row(part.name, part.entries, part.bytes, part.allocated));
      const whole = row("whole directory", entries, bytes, directory);
      await cli.io.write(formatTable(header, [...rows, whole], cli.io.columns));
      return EXIT.ok;
    }),
  );
}

function row(name: string, entries: number, bytes: number, allocated: number): readonly string[] {
  return [name, String(entries), formatSize(bytes), formatSize(allocated)];
}

/** Allocated bytes of a folder and all below it; a file with several names counts once, one that vanishes not at all. */
async function allocatedUnder(path: string, seen: Set<string>): Promise<number> {
  const facts = await lstat(path).catch(() => undefined);
  if (facts === undefined) return 0;
  const identity = `${facts.dev}:${facts.ino}`;
  if (seen.has(identity)) return 0;
  seen.add(identity);
  let sum = facts.blocks * BLOCK;
  if (facts.isDirectory()) {
    for (const name of await readdir(path).catch(() => []))
      sum += await allocatedUnder(join(path, name), seen);
  }
  return sum;
}
