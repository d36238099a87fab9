/** `quiver evict`: removes what has expired, and what is over the limits, now. */

import type { Command } from "commander";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withCache } from "../session.ts";

export function evictCommand(cli: Cli): Command {
  return cli.command("evict", "remove expired entries, and what is over the recorded limits").action(
    cli.action(async (options: CommonOptions) => {
      const report = await withCache(options, "write", (cache) => cache.evict());
      if (options.json) await cli.printJson(report);
      else {
        cli.io.note(
          `evicted ${report.evicted} entries (${formatSize(report.bytes)}), removed ${report.expired} expired\n`,
        );
      }
      return EXIT.ok;
    }),
  );
}
