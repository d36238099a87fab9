/** What `quiver verify` and `quiver repair` share. */

import type { Cli, CommonOptions } from "./cli.ts";
import { startCount } from "./progress.ts";
import { withCache } from "./session.ts";

/** What a verification found, fit for JSON. */
export interface Verification {
  readonly checked: number;
  readonly damaged: readonly { readonly namespace: string; readonly key: string; readonly reason: string }[];
  /** How many of the damaged were deleted. */
  readonly repaired: number;
}

/** Reads and checks every entry, showing progress; with `repair` damaged ones are deleted. */
export async function verifyCache(cli: Cli, options: CommonOptions, repair: boolean): Promise<Verification> {
  const progress = startCount(cli.io, "verified");
  const report = await withCache(options, repair ? "write" : "read", (cache) =>
    cache.verify({ repair, onProgress: ({ checked }) => progress.update(checked) }),
  ).finally(() => progress.end());
  const damaged = report.damaged.map(({ error, ...entry }) => ({
    ...entry,
    reason: error instanceof Error ? error.message : String(error),
  }));
  return { ...report, damaged };
}

/** Prints the damaged entries and the sums. */
export async function tellVerification(cli: Cli, found: Verification, repair: boolean): Promise<void> {
  for (const { namespace, key, reason } of found.damaged) {
    await cli.io.write(cli.line(`damaged: ${namespace}  ${key}: ${reason}`));
  }
  const repaired = repair ? `, ${found.repaired} deleted` : "";
  cli.io.note(`${found.checked} entries verified, ${found.damaged.length} damaged${repaired}\n`);
}
