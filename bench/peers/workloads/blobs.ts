/** Values of 1 KB to 1 MB: stored and read in every manner that a cache is used in. */

import type { Blobs, Entry, Step, Unit } from "../contract.ts";
import { latencies, pace, paceSync } from "../measure.ts";
import { bytes, digestOf, keyAt } from "../values.ts";
import {
  blobsOf,
  type Context,
  figure,
  given,
  type Operation,
  placeOf,
  type Scale,
  type Workload,
} from "../workload.ts";

const SIZES: readonly (readonly [column: string, size: number, keys: number])[] = [
  ["1 KB", 1_000, 1_000],
  ["10 KB", 10_000, 1_000],
  ["100 KB", 100_000, 200],
  ["1 MB", 1_000_000, 48],
];

/** Values stored by one call of `setMany`. */
const BATCH = 64;

export const blobs: Workload = {
  name: "blobs",
  title: "Blobs of 1 KB to 1 MB",
  notes: [
    "`quiver` and `lru-cache` hand out the value that they hold in memory, shared; `lmdb`, `fs` and the rest make a new one for each read. `quiver, not held` does so too.",
    "*durable* survives a power cut, *not synced* the end of the process. A peer without such a promise has no figure.",
    "SQLite has no asynchronous form: in flight its sets come one by one, each a transaction, as they do from independent requests. *batch* is its transaction over 64 values, as it is everybody else's cheapest form for many.",
    "*one at a time* takes the synchronous form where a peer has one, *awaited* the other.",
  ],
  peers: [
    "quiver",
    "quiver, files",
    "quiver, not held",
    "lmdb",
    "lmdb, its cache",
    "better-sqlite3",
    "classic-level",
    "cacache",
    "keyv, sqlite",
    "unstorage, fs",
    "flat-cache",
    "lru-cache",
    "fs",
    "fs, digested",
    "diskcache",
    "joblib",
    "shelve",
    "pickle files",
    "json files",
  ],
  main: ["quiver", "quiver, files", "lmdb", "better-sqlite3", "cacache", "lru-cache", "fs"],
  prepare: (scale) => [
    sizesOf(scale).map(([, size, count]) => ({ op: "fill", size, count })),
    sizesOf(scale).map(([, size, count]) => ({ op: "digest", size, count })),
  ],
  round: (scale) => [
    sizesOf(scale).flatMap((size) => readSteps(size, scale)),
    sizesOf(scale).flatMap((size) => writeSteps(size, scale)),
  ],
  operations: { fill, digest, get, miss, set, batch, "get latency": getLatency },
};

export function sizesOf({ name }: Scale): typeof SIZES {
  if (name === "tiny") return SIZES.map(([column, size]) => [column, size, 8]);
  return name === "short" ? SIZES.filter(([column]) => column !== "100 KB") : SIZES;
}

export function stepsOf([column, size, count]: (typeof SIZES)[number], { time }: Scale) {
  return (op: string, table: string, more: Partial<Step> = {}, unit: Unit = "/s"): Step => ({
    op,
    place: { table, column, unit },
    size,
    count,
    time,
    ...more,
  });
}

function readSteps(size: (typeof SIZES)[number], scale: Scale): readonly Step[] {
  const step = stepsOf(size, scale);
  return [
    step("get", "get, the fastest form", { inFlight: 0 }),
    step("get", "get, awaited", { inFlight: 1 }),
    step("get", "get, 64 in flight", { inFlight: 64 }),
    step("get latency", "get, awaited, latency", {}, "µs"),
    step("miss", "get of a missing key"),
  ];
}

function writeSteps(size: (typeof SIZES)[number], scale: Scale): readonly Step[] {
  const step = stepsOf(size, { ...scale, time: scale.writeTime });
  return [
    step("set", "set, durable, one at a time", { inFlight: 0, durability: "full" }),
    step("set", "set, durable, one at a time, awaited", { inFlight: 1, durability: "full" }),
    step("set", "set, durable, 64 in flight", { inFlight: 64, durability: "full" }),
    step("batch", "set, durable, in batches of 64", { durability: "full" }),
    step("set", "set, not synced, one at a time", { inFlight: 0, durability: "process" }),
    step("set", "set, not synced, 64 in flight", { inFlight: 64, durability: "process" }),
  ];
}

export function keysOf(step: Step, suffix = ""): readonly string[] {
  const size = given(step, "size");
  return Array.from({ length: given(step, "count") }, (_, index) => keyAt(size, index) + suffix);
}

/** Values to write, few enough to be at hand. */
function entriesOf(step: Step, count: number): readonly Entry[] {
  const size = given(step, "size");
  return Array.from({ length: count }, (_, index) => [keyAt(size, index), bytes(size, index)] as const);
}

async function store(blobs: Blobs, step: Step): Promise<void> {
  const all = entriesOf(step, given(step, "count"));
  for (let at = 0; at < all.length; at += BATCH) await blobs.setMany(all.slice(at, at + BATCH));
}

async function fill(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context);
  if (blobs !== undefined) await store(blobs, step);
  return undefined;
}

/** Opens for reading. What lives in memory only is filled in every process anew. */
async function filled(context: Context, step: Step): Promise<Blobs | undefined> {
  const blobs = await blobsOf(context);
  if (blobs !== undefined && context.peer.layout === "memory") await store(blobs, step);
  return blobs;
}

async function digest(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await filled(context, step);
  if (blobs === undefined) return undefined;
  const values: Uint8Array[] = [];
  for (const key of keysOf(step)) values.push((await blobs.get(key)) ?? new Uint8Array());
  return { seen: [digestOf(values)] };
}

/** The fastest form is the synchronous one; a peer without it is awaited. */
function reading(blobs: Blobs, step: Step, keys: readonly string[]): Promise<number> | number {
  const time = given(step, "time");
  const inFlight = given(step, "inFlight");
  const keyFor = (turn: number): string => keys[turn % keys.length] as string;
  if (inFlight > 0) return pace((turn) => blobs.get(keyFor(turn)), time, inFlight);
  const { getSync } = blobs;
  return getSync === undefined
    ? pace((turn) => blobs.get(keyFor(turn)), time, 1)
    : paceSync((turn) => getSync(keyFor(turn)), time);
}

async function get(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await filled(context, step);
  return blobs && figure(step, await reading(blobs, step, keysOf(step)));
}

async function miss(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context);
  return blobs && figure(step, await reading(blobs, { ...step, inFlight: 0 }, keysOf(step, "-missing")));
}

async function getLatency(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await filled(context, step);
  if (blobs === undefined) return undefined;
  const keys = keysOf(step);
  const { p50, p99 } = await latencies(
    (turn) => blobs.get(keys[turn % keys.length] as string),
    given(step, "time"),
  );
  const { column } = placeOf(step);
  return {
    figures: [
      ...(figure(step, p50, { column: `${column} p50` }).figures ?? []),
      ...(figure(step, p99, { column: `${column} p99` }).figures ?? []),
    ],
  };
}

/** A key gets another value at each pass: SQLite doesn't write what is there already. */
async function set(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context, given(step, "durability"));
  if (blobs === undefined) return undefined;
  const entries = entriesOf(step, 8);
  const keys = keysOf(step);
  const time = given(step, "time");
  const inFlight = given(step, "inFlight");
  const at = (turn: number): Entry => {
    const shift = process.pid + Math.floor(turn / keys.length);
    return [keys[turn % keys.length] as string, (entries[(turn + shift) % entries.length] as Entry)[1]];
  };
  const { setSync } = blobs;
  if (inFlight === 0 && setSync !== undefined) {
    return figure(
      step,
      paceSync((turn) => setSync(...at(turn)), time),
    );
  }
  return figure(step, await pace((turn) => blobs.set(...at(turn)), time, Math.max(1, inFlight)));
}

/** As `set`, each batch has other values than the one before. */
async function batch(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context, given(step, "durability"));
  if (blobs === undefined) return undefined;
  const entries = entriesOf(step, Math.min(BATCH, given(step, "count")));
  const others = entries.map(([key], index): Entry => [key, (entries.at(index - 1) as Entry)[1]]);
  const rate = await pace((turn) => blobs.setMany(turn % 2 === 0 ? others : entries), given(step, "time"), 1);
  return figure(step, rate * entries.length);
}
