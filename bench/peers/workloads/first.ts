/** Values read for the first time in a process, each size in processes of its own. */

import type { Step } from "../contract.ts";
import { blobsOf, type Context, figure, type Operation, type Workload } from "../workload.ts";
import { blobs, keysOf, sizesOf, stepsOf } from "./blobs.ts";

/** What lives in memory only has no first read. */
const keeps = (peer: string): boolean => peer !== "lru-cache";

export const firstReads: Workload = {
  name: "first",
  title: "First reads of a process",
  notes: [
    "Each key is read once, in a new process that has read nothing else; the files are in the page cache, because they were read just before. What was read before would leave memory behind that is faster to be had than new memory.",
  ],
  peers: blobs.peers.filter(keeps),
  main: blobs.main.filter(keeps),
  prepare: blobs.prepare,
  round: (scale) =>
    sizesOf(scale).map((size) => [
      stepsOf(size, scale)("first", "get, first touch in a new process", { inMemory: true }),
    ]),
  operations: { ...blobs.operations, first },
};

async function first(context: Context, step: Step): ReturnType<Operation> {
  const values = await blobsOf(context);
  if (values === undefined) return undefined;
  const get = values.getSync?.bind(values) ?? values.get.bind(values);
  const keys = keysOf(step);
  const start = performance.now();
  for (const key of keys) {
    const value = get(key);
    if (value instanceof Promise) await value;
  }
  return figure(step, (keys.length * 1000) / (performance.now() - start));
}
