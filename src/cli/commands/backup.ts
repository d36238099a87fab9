/** `quiver backup`: a copy that opens as a cache of its own, made while the cache is in use. */

import { resolve } from "node:path";
import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { withLocalStore } from "../session.ts";

export function backupCommand(cli: Cli): Command {
  return cli
    .command("backup", "write a copy that opens as a cache of its own, while this one goes on")
    .argument("<directory>", "where to; must hold no cache yet")
    .action(
      cli.action(async (directory: string, options: CommonOptions) => {
        const files = await withLocalStore(options, "write", (store) =>
          store.maintenance.backup(resolve(directory)),
        );
        if (options.json) await cli.printJson({ files });
        else await cli.io.write(cli.line(`copied the catalog and ${files} files to ${directory}`));
        return EXIT.ok;
      }),
    );
}
