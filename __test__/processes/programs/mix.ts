/**
 * Works on a cache without pause, several operations at a time, until it is told to stop or killed: puts of all sizes,
 * overwrites, deletions, clearing, eviction, computing. It alone writes the keys that begin with its number; what it
 * is about to do and what was acknowledged stands in its journal.
 */

import { Cache, type Namespace } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { Journal } from "../journal.ts";
import { common, namespaces, ownNamespace, PROCESSES } from "../mix-layout.ts";
import { checkValue, makeValue } from "../values.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface MixInput {
  readonly root: string;
  readonly number: number;
  readonly seed: number;
  /** The sequence numbers of this run lie above it. */
  readonly base: number;
  readonly journal: string;
}

const LANES = 6;
const KEYS = 5;
const PACKED = [300, 4_000] as const;
const NEAR_THE_LIMIT = [10_000, 20_000] as const;
const FILES = [20_000, 60_000] as const;
const LARGE = [100_000, 2_000_000] as const;

const { root, number, seed, base, journal: journalPath } = inputOf<MixInput>();
const random = new Random(seed);
const journal = new Journal(journalPath);
const cache = await Cache.open(root, { namespaces });
cache.on("error", ({ error }) => {
  throw error;
});
let sequence = base;
let running = true;
void stopped.then(() => {
  running = false;
});

/** Operations on one lane's keys, one after the other. */
async function lane(index: number): Promise<void> {
  while (running) {
    // The first lane also has the namespace that is cleared: nothing else may be under way in it then.
    const isOwn = index === 0 && random.chance(0.5);
    const space = cache.namespace<Uint8Array>(
      isOwn ? ownNamespace(number) : random.pick(Object.keys(common)),
    );
    const key = `${number}-${index}-${random.below(KEYS)}`;
    const dice = random.below(100);
    if (dice < 50) await put(space, key);
    else if (dice < 60) await putTwice(space, key);
    else if (dice < 72) await remove(space, key);
    else if (dice < 82) await compute(space, key);
    else if (dice < 96) await readAny(space);
    else if (isOwn) await clear(space);
    else await cache.evict();
  }
}

async function put(space: Namespace<Uint8Array>, key: string): Promise<void> {
  const { value, written } = next(space, key);
  await space.set(key, value, options(key));
  journal.end(space.name, key, written);
}

/** Calls take effect in their order, awaited or not. */
async function putTwice(space: Namespace<Uint8Array>, key: string): Promise<void> {
  const first = next(space, key);
  const earlier = space.set(key, first.value, options(key));
  const second = next(space, key);
  await Promise.all([earlier, space.set(key, second.value, options(key))]);
  journal.end(space.name, key, second.written);
}

async function remove(space: Namespace<Uint8Array>, key: string): Promise<void> {
  journal.begin(space.name, key, 0);
  await space.delete(key);
  journal.end(space.name, key, 0);
}

async function compute(space: Namespace<Uint8Array>, key: string): Promise<void> {
  const { value } = next(space, key);
  const got = await space.getOrCompute(key, async () => value, options(key));
  journal.end(space.name, key, checkValue(key, got));
}

async function clear(space: Namespace<Uint8Array>): Promise<void> {
  journal.begin(space.name, undefined, 0);
  await space.clear();
  journal.end(space.name, undefined, 0);
}

/** Highest sequence number seen of each key: its only writer never goes back. */
const seen = new Map<string, number>();

/** Reads a key. Of reads that overlap, the one that ends last may have begun first, and bring the older value. */
async function readAny(space: Namespace<Uint8Array>): Promise<void> {
  const key = `${1 + random.below(PROCESSES)}-${random.below(LANES)}-${random.below(KEYS)}`;
  const id = `${space.name}/${key}`;
  const before = seen.get(id) ?? 0;
  const value = await space.get(key);
  if (value === undefined) return;
  const found = checkValue(key, value);
  if (found < before) throw new Error(`${id} had value ${before} and now has ${found} again`);
  seen.set(id, Math.max(found, seen.get(id) ?? 0));
}

function next(space: Namespace<Uint8Array>, key: string): { value: Uint8Array; written: number } {
  const written = ++sequence;
  const sizes = [PACKED, PACKED, NEAR_THE_LIMIT, FILES, ...(space.name === "bounded" ? [] : [LARGE])];
  const [least, most] = random.pick(sizes);
  journal.begin(space.name, key, written);
  return { value: makeValue(key, written, least + random.below(most - least)), written };
}

/** A fifth of the keys is pinned. */
function options(key: string): { readonly pinned: boolean } {
  return { pinned: key.endsWith("-0") };
}

tell({ kind: "ready" });
await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
await cache.close();
journal.close();
leave();
