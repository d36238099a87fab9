import type { EvictionPolicy } from "./eviction.ts";

/** Least recently used leaves first. The usual choice: what was read lately is read again. */
export const lru: EvictionPolicy = {
  name: "lru",
  score(columns, _now, out) {
    for (let row = 0; row < columns.length; row++) out[row] = columns.lastAccess[row] as number;
  },
};
