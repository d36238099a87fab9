/** `quiver compact`: gives the catalog's free pages back to the disk. */

import type { Command } from "commander";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withLocalStore } from "../session.ts";

export function compactCommand(cli: Cli): Command {
  return cli
    .command("compact", "rewrite the catalog without its free pages; nobody else may have the cache open")
    .action(
      cli.action(async (options: CommonOptions) => {
        const saved = await withLocalStore(options, "write", (store) => store.maintenance.compact());
        if (options.json) await cli.printJson({ saved });
        else await cli.io.write(cli.line(`gave back ${formatSize(saved)}`));
        return EXIT.ok;
      }),
    );
}
