/** What `quiver verify` and `quiver repair` share. */

import type { Cli, CommonOptions } from "./cli.ts";
import { EXIT, type ExitStatus } from "./exit.ts";
import { startCount } from "./progress.ts";
import { withCache } from "./session.ts";

/** Verifies the cache and tells what is damaged; with `repair` that is deleted. Damage that stays is status 1. */
export async function verifyCache(cli: Cli, options: CommonOptions, repair: boolean): Promise<ExitStatus> {
  const progress = startCount(cli.io, "verified");
  const report = await withCache(options, repair ? "write" : "read", (cache) =>
    cache.verify({ repair, onProgress: ({ checked }) => progress.update(checked) }),
  ).finally(() => progress.end());
  const damaged = report.damaged.map(({ error, ...entry }) => ({
    ...entry,
    reason: error instanceof Error ? error.message : String(error),
  }));
  if (options.json) await cli.printJson({ ...report, damaged });
  else {
    for (const { namespace, key, reason } of damaged) {
      await cli.io.write(cli.line(`damaged: ${namespace}  ${key}: ${reason}`));
    }
    const repaired = repair ? `, ${report.repaired} deleted` : "";
    cli.io.note(`${report.checked} entries verified, ${damaged.length} damaged${repaired}\n`);
  }
  return damaged.length > report.repaired ? EXIT.notFound : EXIT.ok;
}
