import type { EvictionPolicy } from "./eviction.ts";

/** About two years in milliseconds; last accesses before that are told apart no more. */
const HORIZON = 2 ** 36;

/**
 * Least often used leaves first, of those with equal counts the one used less recently. Counts never age, so
 * that what was once popular stays: not for a working set that moves.
 */
export const lfu: EvictionPolicy = {
  name: "lfu",
  score(columns, now, out) {
    for (let row = 0; row < columns.length; row++) {
      // In [0, 0.5], so that it orders equal counts only. A double keeps it to the millisecond up to 65,536
      // accesses and to about a minute at the largest counts.
      const recency = 0.5 - Math.min(now - (columns.lastAccess[row] as number), HORIZON) / HORIZON / 2;
      out[row] = (columns.accessCount[row] as number) + recency;
    }
  },
};
