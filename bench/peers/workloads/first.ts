/** Values read for the first time in a process, each size in processes of its own. */

import type { Workload } from "../workload.ts";
import { digest, fill, first, peers, sizesOf, stepsOf } from "./blobs.ts";

export const firstReads: Workload = {
  name: "first",
  title: "First reads of a process",
  notes: [
    "Each key is read once, in a new process that has read nothing else; the files are in the page cache, because they were read just before. What was read before would leave memory behind that is faster to be had than new memory.",
  ],
  peers: peers.filter((name) => name !== "lru-cache"),
  main: ["quiver", "quiver, files", "lmdb", "better-sqlite3", "cacache", "fs"],
  prepare: (scale) => [
    sizesOf(scale).map(([, size, count]) => ({ op: "fill", size, count })),
    sizesOf(scale).map(([, size, count]) => ({ op: "digest", size, count })),
  ],
  round: (scale) =>
    sizesOf(scale).map((size) => [
      stepsOf(size, scale)("first", "get, first touch in a new process", { inMemory: true }),
    ]),
  operations: { fill, digest, first },
};
