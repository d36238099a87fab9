import type { EvictionPolicy } from "./eviction.ts";

/** Oldest leaves first, however often it is read. For values that lose their worth with age. */
export const fifo: EvictionPolicy = {
  name: "fifo",
  score(columns, _now, out) {
    for (let row = 0; row < columns.length; row++) out[row] = columns.createdAt[row] as number;
  },
};
