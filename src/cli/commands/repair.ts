/** `quiver repair`: puts right what processes that died or disks that lied left behind. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withLocalStore } from "../session.ts";
import { tellVerification, verifyCache } from "../verify-cache.ts";

export function repairCommand(cli: Cli): Command {
  return cli
    .command("repair", "check the catalog, sweep up leftovers, verify every value and delete damaged ones")
    .action(
      cli.action(async (options: CommonOptions) => {
        const { catalog, swept } = await withLocalStore(options, "write", async ({ maintenance }) => ({
          catalog: await maintenance.checkCatalog(),
          swept: await maintenance.sweep(),
        }));
        const verification = await verifyCache(cli, options, true);
        if (options.json) await cli.printJson({ catalog, swept, ...verification });
        else {
          for (const problem of catalog) await cli.io.write(cli.line(`catalog: ${problem}`));
          const { temporary, orphans, names } = swept;
          cli.io.note(
            `removed ${temporary} unfinished writes and ${orphans} values without a record, put ${names} names right\n`,
          );
          await tellVerification(cli, verification, true);
        }
        const left = catalog.length + verification.damaged.length - verification.repaired;
        return left > 0 ? EXIT.notFound : EXIT.ok;
      }),
    );
}
