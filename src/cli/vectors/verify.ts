/** `quiver vectors verify`: compares files with the digests that were written with them. */

import type { Command } from "commander";
import { isQuiverError } from "../../shared/errors.ts";
import { VectorCache } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { type VectorsOptions, vectorCommand } from "./common.ts";

export function verifyCommand(cli: Cli): Command {
  return vectorCommand(cli, "verify", "compare every byte with the digests that were written")
    .argument("[name]", "a cache's name, or the path of its folder; all of the root without it")
    .action(
      cli.action(async (name: string | undefined, { root, json }: VectorsOptions) => {
        const names = name === undefined ? await VectorCache.list({ root }) : [name];
        const outcomes = [];
        for (const one of names) outcomes.push(await verifyOne(one, root));
        if (json) await cli.printJson(outcomes);
        for (const { name: cache, compared, problem } of json ? [] : outcomes) {
          await cli.io.write(cli.line(`${cache}: ${problem ?? told(compared)}`));
        }
        return outcomes.some(({ problem }) => problem !== null) ? EXIT.notFound : EXIT.ok;
      }),
    );
}

function told(compared: number): string {
  if (compared === 0) return "has no digests to compare with";
  return `sound, ${compared} file${compared === 1 ? "" : "s"} compared`;
}

async function verifyOne(
  name: string,
  root: string,
): Promise<{ readonly name: string; readonly compared: number; readonly problem: string | null }> {
  try {
    const cache = await VectorCache.load(name, { root });
    return { name, ...(await cache.verify()), problem: null };
  } catch (error) {
    const isDamage =
      isQuiverError(error, "ERR_QUIVER_CORRUPT") || isQuiverError(error, "ERR_QUIVER_CHECKSUM_MISMATCH");
    if (!isDamage) throw error;
    return { name, compared: 0, problem: error.message };
  }
}
