/** Sizes of files as Hugging Face counts them: "500MB" is 500,000,000 bytes, "500MiB" 524,288,000. */

import { QuiverError } from "../shared/errors.ts";

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ...["k", "m", "g", "t"].flatMap((unit, power): [string, number][] => [
    [`${unit}b`, 1000 ** (power + 1)],
    [`${unit}ib`, 1024 ** (power + 1)],
  ]),
]);

/** Bytes, at least one. Throws ERR_QUIVER_BAD_OPTION. */
export function parseShardSize(size: number | string, option = "maxShardSize"): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(size).trim());
  const bytes = Math.floor(Number(match?.[1]) * (UNITS.get((match?.[2] ?? "").toLowerCase()) ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${option} is ${JSON.stringify(size)}, which is no size`, {
    fix: `Give ${option} as a number of bytes or a size such as "500MB", in powers of 1000.`,
  });
}
