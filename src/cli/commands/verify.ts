/** `quiver verify`: reads everything once and names what is damaged. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { verifyCache } from "../verify-cache.ts";

interface VerifyOptions extends CommonOptions {
  readonly repair?: boolean;
}

export function verifyCommand(cli: Cli): Command {
  return cli
    .command("verify", "compare every value with its checksum and its format")
    .option("--repair", "delete what is damaged, so that it is computed again")
    .action(cli.action((options: VerifyOptions) => verifyCache(cli, options, options.repair === true)));
}
