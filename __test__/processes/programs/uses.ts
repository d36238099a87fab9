/**
 * Reads and writes keys out of a window that moves on, for a while, and tells when it used each of them last. Some come
 * from memory, some from the disk.
 */

import { setTimeout as pause } from "node:timers/promises";
import { Cache } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { makeValue } from "../values.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface UsesInput {
  readonly root: string;
  readonly seed: number;
  readonly keys: number;
  /** In milliseconds. */
  readonly duration: number;
}

/** Keys. */
const WINDOW = 100;

const { root, seed, keys, duration } = inputOf<UsesInput>();
const random = new Random(seed);
await using cache = await Cache.open(root, { durability: "process" });
const values = cache.namespace<Uint8Array>("values");
const lastUses: Record<string, number> = {};
const start = Date.now();
for (let sequence = 1; Date.now() < start + duration; sequence++) {
  const from = Math.floor(((keys - WINDOW) * (Date.now() - start)) / duration);
  const key = `k${from + random.below(WINDOW)}`;
  if (random.below(20) === 0) await values.set(key, makeValue(key, sequence, 500));
  else await values.get(key);
  lastUses[key] = Date.now();
  await pause(1);
}
tell({ kind: "done", lastUses });
leave();
