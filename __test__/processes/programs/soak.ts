/**
 * Mixed work until told to stop: memoised functions, sets of all sizes into a cache that is full, deletions, listings,
 * invalidations, leases. Says now and then what it holds once nothing is left that nobody refers to.
 */

import { readFileSync } from "node:fs";
import { Cache } from "../../../src/index.ts";
import { collectGarbage } from "../../../src/shared/collect.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { checkValue, makeValue } from "../values.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface SoakInput {
  readonly root: string;
  readonly seed: number;
}

/** Of one sample, in bytes. */
export interface SoakMemory {
  /** Wall-clock milliseconds. */
  readonly at: number;
  /** Objects of JavaScript. */
  readonly heap: number;
  /** All memory of the process that is of no file. */
  readonly anonymous: number;
}

const KEYS = 3_000;
const SAMPLE_MS = 1_000;
const SIZES = [200, 3_000, 12_000, 12_000, 40_000, 300_000];

const { root, seed } = inputOf<SoakInput>();
const random = new Random(seed);
const cache = await Cache.open(root, { memoryLimit: "16MB" });
const values = cache.namespace<Uint8Array>("values");
const stage = cache.memoize(async (n: number) => ({ n, text: "x".repeat(10_000) }), {
  namespace: "stage",
  ttl: "2s",
  staleTtl: "2s",
});
let operations = 0;
let running = true;
void stopped.then(() => {
  running = false;
});

async function step(): Promise<void> {
  const key = `k${random.below(KEYS)}`;
  const dice = random.below(100);
  if (dice < 30) await values.set(key, makeValue(key, ++operations, random.pick(SIZES)));
  else if (dice < 70) check(key, await values.get(key));
  else if (dice < 90) await stage(random.below(500));
  else if (dice < 95) await values.delete(key);
  else if (dice < 97) {
    using lease = await values.path(key);
    if (lease !== undefined) check(key, readFileSync(lease.path));
  } else if (dice < 98) for await (const _ of values.keys({ prefix: "k1" })) operations++;
  else if (dice < 99) await cache.invalidate({ namespace: "stage", prefix: `stage:${random.below(10)}` });
  else await cache.metrics();
  operations++;
}

function check(key: string, value: Uint8Array | undefined): void {
  if (value !== undefined) checkValue(key, value);
}

async function lane(): Promise<void> {
  while (running) await step();
}

async function tellMemory(): Promise<void> {
  await collectGarbage();
  const status = readFileSync("/proc/self/status", "utf8");
  const anonymous = Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  tell({ kind: "memory", at: Date.now(), heap: process.memoryUsage().heapUsed, anonymous });
}

tell({ kind: "ready" });
const sampling = setInterval(() => void tellMemory(), SAMPLE_MS);
await Promise.all(Array.from({ length: 4 }, lane));
clearInterval(sampling);
await cache.close();
tell({ kind: "done", operations });
leave();
