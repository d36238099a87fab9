/** Sizes of files as Hugging Face counts them: "500MB" is 500,000,000 bytes, "500MiB" 524,288,000. */

import { badOption } from "../cache/option-readers.ts";

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ...["k", "m", "g", "t"].flatMap((unit, power): [string, number][] => [
    [`${unit}b`, 1000 ** (power + 1)],
    [`${unit}ib`, 1024 ** (power + 1)],
  ]),
]);

/** Bytes, at least one. Throws ERR_QUIVER_BAD_OPTION. */
export function parseShardSize(size: unknown, field = "maxShardSize"): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(size).trim());
  const bytes = Math.floor(Number(match?.[1]) * (UNITS.get((match?.[2] ?? "").toLowerCase()) ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw badOption(field, size, 'a number of bytes or a size such as "500MB"');
}
