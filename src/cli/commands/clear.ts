/** `quiver clear`: empties a namespace or the whole cache, after a question. */

import type { Command } from "commander";
import { QuiverError } from "../../shared/errors.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { existingNamespace, rootOf, withCache } from "../session.ts";
import { printable } from "../text.ts";

interface ClearOptions extends CommonOptions {
  readonly yes?: boolean;
}

export function clearCommand(cli: Cli): Command {
  return cli
    .command("clear", "remove every entry of a namespace, or of the whole cache")
    .argument("[namespace]")
    .option("-y, --yes", "don't ask first")
    .action(
      cli.action((name: string | undefined, options: ClearOptions) =>
        withCache(options, "write", async (cache) => {
          const target = name === undefined ? cache : await existingNamespace(cache, name);
          const { entries, bytes } = await target.stats();
          const what = name === undefined ? rootOf(options) : `namespace ${name} of ${rootOf(options)}`;
          const question = printable(`Remove all ${entries} entries (${formatSize(bytes)}) from ${what}?`);
          if (!options.yes && !(await cli.io.confirm(question))) {
            throw new QuiverError("ERR_QUIVER_BAD_OPTION", "nothing was removed", {
              hint: "The question was not answered with yes.",
              fix: "Answer y, or pass --yes where nobody can answer.",
            });
          }
          await target.clear();
          if (options.json) await cli.printJson({ removed: entries, bytes });
          else cli.io.note(`removed ${entries} entries (${formatSize(bytes)})\n`);
          return EXIT.ok;
        }),
      ),
    );
}
