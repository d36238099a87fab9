/**
 * Opens a cache that may be damaged, reads every value `k<i>` of namespace "n", then writes and deletes. Ends with 0
 * whatever it found, as long as that was a typed error, a miss or the right value.
 */

import { Cache, isQuiverError } from "../../../src/index.ts";
import { bytesOf, type OpenAndUseInput, type OpenAndUseReport } from "../damaged-values.ts";
import { inputOf, leave, tell } from "./program.ts";

async function use({ root, count }: OpenAndUseInput): Promise<OpenAndUseReport> {
  const report = { right: 0, missing: 0, refused: 0 };
  try {
    await using cache = await Cache.open(root);
    const space = cache.namespace<Uint8Array>("n");
    for (let i = 0; i < count; i++) {
      try {
        const value = await space.get(`k${i}`);
        if (value === undefined) report.missing += 1;
        else if (value.byteLength === bytesOf(i) && value.every((byte) => byte === i + 1)) report.right += 1;
        else throw new Error(`k${i} is wrong`);
      } catch (error) {
        if (!isQuiverError(error)) throw error;
        report.refused += 1;
      }
    }
    for await (const key of space.keys()) if (!/^k\d+$/.test(key)) throw new Error(`there is a key ${key}`);
    await space.set("after", new Uint8Array(5_000).fill(1));
    await space.delete("k0");
    await cache.stats();
    return { code: undefined, ...report };
  } catch (error) {
    if (!isQuiverError(error)) throw error;
    return { code: error.code, ...report };
  }
}

const report = await use(inputOf<OpenAndUseInput>());
tell({ kind: "report", ...report });
leave();
