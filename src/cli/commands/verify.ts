/** `quiver verify`: reads everything once and names what is damaged. */

import type { Command } from "commander";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { tellVerification, verifyCache } from "../verify-cache.ts";

interface VerifyOptions extends CommonOptions {
  readonly repair?: boolean;
}

export function verifyCommand(cli: Cli): Command {
  return cli
    .command("verify", "compare every value with its checksum and its format")
    .option("--repair", "delete what is damaged, so that it is computed again")
    .action(
      cli.action(async (options: VerifyOptions) => {
        const repair = options.repair === true;
        const verification = await verifyCache(cli, options, repair);
        if (options.json) await cli.printJson(verification);
        else await tellVerification(cli, verification, repair);
        return verification.damaged.length > verification.repaired ? EXIT.notFound : EXIT.ok;
      }),
    );
}
