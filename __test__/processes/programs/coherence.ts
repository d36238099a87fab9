/**
 * Reads, sets, deletes and clears keys that other processes change as well, and writes down what it did and saw. With
 * `careless` it looks values up in a memory of its own for a while, which nothing invalidates: the bug that the checker
 * has to find.
 */

import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { Cache } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { EXPIRING, type Step } from "../history.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface CoherenceInput {
  readonly root: string;
  readonly number: number;
  readonly seed: number;
  readonly keys: number;
  readonly history: string;
  readonly careless: boolean;
}

/** Values of which some are packed and some are files. */
const SIZES = [10, 500, 3_000, 30_000];
/** Steps that the checker has memory for. What isn't written down must not be done: others would read it. */
const MOST_STEPS = 1_000_000;
/** Between two of a lane, so that they last for a minute. */
const PAUSE_MS = 2;
const CARELESS_MS = 50;

const { root, number, seed, keys, history, careless } = inputOf<CoherenceInput>();
const random = new Random(seed);
const cache = await Cache.open(root);
const values = cache.namespace<{ readonly sequence: number; readonly padding: string }>("shared");
await values.has("open");
const steps: Step[] = [];
let sequence = number * 1_000_000_000;
let running = true;
void stopped.then(() => {
  running = false;
});

const clock = (): number => Number(process.hrtime.bigint());
const remembered = new Map<string, { readonly sequence: number; readonly until: number }>();

function read(key: string): void {
  const at = Date.now();
  const start = clock();
  const held = careless ? remembered.get(key) : undefined;
  const found = held && held.until > at ? held.sequence : (values.getSync(key)?.sequence ?? 0);
  steps.push({ kind: "read", key, sequence: found, at, start, end: clock() });
  if (careless && held === undefined) remembered.set(key, { sequence: found, until: at + CARELESS_MS });
  else if (held && held.until <= at) remembered.delete(key);
}

async function set(key: string): Promise<void> {
  const own = ++sequence;
  const padding = "x".repeat(random.pick(SIZES));
  const ttl = key.startsWith(EXPIRING) ? 20 + random.below(200) : null;
  const start = clock();
  const { expiresAt } = await values.set(key, { sequence: own, padding }, { ttl });
  steps.push({ kind: "set", key, sequence: own, expiresAt, start, end: clock() });
}

async function remove(key: string): Promise<void> {
  const start = clock();
  await values.delete(key);
  steps.push({ kind: "delete", key, start, end: clock() });
}

async function clear(): Promise<void> {
  const start = clock();
  await values.clear();
  steps.push({ kind: "clear", start, end: clock() });
}

async function lane(): Promise<void> {
  while (running && steps.length < MOST_STEPS) {
    const key = `${random.chance(0.25) ? EXPIRING : "k"}${random.below(keys)}`;
    const dice = random.below(1000);
    if (dice < 150) await set(key);
    else if (dice < 190) await remove(key);
    else if (dice < 191) await clear();
    else {
      for (let again = 0; again < 4; again++) read(key);
      await pause(PAUSE_MS);
    }
  }
}

tell({ kind: "ready" });
await Promise.all(Array.from({ length: 8 }, lane));
await cache.close();
writeFileSync(history, steps.map((step) => JSON.stringify(step)).join("\n"));
tell({ kind: "steps", count: steps.length });
leave();
