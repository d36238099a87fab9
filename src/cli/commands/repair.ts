/** `quiver repair`: deletes what is damaged. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { verifyCache } from "../verify-cache.ts";

export function repairCommand(cli: Cli): Command {
  return cli
    .command("repair", "verify everything and delete what is damaged; the same as verify --repair")
    .action(cli.action((options: CommonOptions) => verifyCache(cli, options, true)));
}
