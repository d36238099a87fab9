/** `quiver rm`: removes entries by key. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { existingNamespace, withCache } from "../session.ts";

export function rmCommand(cli: Cli): Command {
  return cli
    .command("rm", "remove entries")
    .argument("<namespace>")
    .argument("<key...>")
    .action(
      cli.action(async (name: string, keys: readonly string[], options: CommonOptions) => {
        const absent = await withCache(options, "write", async (cache) => {
          const namespace = await existingNamespace(cache, name);
          const notThere: string[] = [];
          for (const key of keys) if (!(await namespace.delete(key))) notThere.push(key);
          return notThere;
        });
        const removed = keys.length - absent.length;
        if (options.json) await cli.printJson({ removed, absent });
        else {
          for (const key of absent) cli.io.note(cli.line(`not there: ${key}`));
          cli.io.note(cli.line(`removed ${removed} of ${keys.length}`));
        }
        return absent.length > 0 ? EXIT.notFound : EXIT.ok;
      }),
    );
}
