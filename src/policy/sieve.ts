import type { EvictionPolicy } from "./eviction.ts";

/** More milliseconds than any time of creation has. */
const AFTER_ALL_TIMES = 2 ** 43;

/**
 * Entries that were not read since the last eviction leave first, oldest before newest; those that were read get
 * one more round. Keeps a working set through a scan of values that are read once only.
 */
export const sieve: EvictionPolicy = {
  name: "sieve",
  score(columns, _now, out) {
    for (let row = 0; row < columns.length; row++) {
      const reprieve = columns.visited[row] === 0 ? 0 : AFTER_ALL_TIMES;
      out[row] = reprieve + (columns.createdAt[row] as number);
    }
  },
};
