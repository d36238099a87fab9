/** A million small entries, and how the cost of one operation grows on the way there. */

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Blobs, Step, Unit } from "../contract.ts";
import { pace, paceSync, secondsOf } from "../measure.ts";
import {
  blobsOf,
  type Context,
  figure,
  given,
  type Operation,
  type Scale,
  type Workload,
} from "../workload.ts";

const SIZE = 100;

/** Entries given to one call of `setMany`. */
const BATCH = 1_000;

export const many: Workload = {
  name: "many",
  title: "Many entries of 100 bytes",
  notes: [
    "Loaded in random order, a thousand at a time, without syncing; then opened and read in a new process. *open* goes from nothing to the answer to the first look-up. *beyond* is what an entry takes on the disk besides its key and value.",
    "Prefix listing visits a thousandth of the keys. `flat-cache` holds everything in memory and reads its whole file to open.",
  ],
  peers: ["quiver", "lmdb", "better-sqlite3", "classic-level"],
  main: [],
  prepare: () => [],
  round: (scale) =>
    countsOf(scale).flatMap(([column, count]) => {
      const step = (op: string, table: string, unit: Unit, time = scale.time): Step => ({
        op,
        count,
        name: column,
        time,
        place: { table, column, unit },
      });
      return [
        [
          step("load", "load, entries a second", "/s"),
          step("weigh", "on disk, beyond key and value", "bytes"),
        ],
        [
          step("open", "open", "ms"),
          step("get", "get at random", "/s", scale.time * 3),
          step("list", "list a prefix, keys a second", "/s"),
          step("set", "set of one, not synced", "/s", scale.writeTime),
        ],
      ];
    }),
  operations: { load, weigh, open, get, list, set },
};

function countsOf({ name }: Scale): readonly (readonly [column: string, count: number])[] {
  const counts = [
    ["1,000", 1_000],
    ["10,000", 10_000],
    ["100,000", 100_000],
    ["1 million", 1_000_000],
    ["10 million", 10_000_000],
  ] as const;
  if (name === "tiny") return counts.slice(0, 1);
  return process.env["QUIVER_BENCH_TEN_MILLION"] === "1" ? counts : counts.slice(0, 4);
}

/** Keys that begin with one of a thousand groups, in an order that visits them at random. */
function keyAt(index: number, count: number): string {
  const mixed = (index * 7_919) % count;
  return `group-${String(mixed % 1_000).padStart(3, "0")}-entry-${String(mixed).padStart(8, "0")}`;
}

const KEY_BYTES = 24;

/** Every count has a store of its own, new in every round. */
function storeOf(context: Context, step: Step): Promise<Blobs | undefined> {
  const { folder, round } = context;
  return blobsOf({ ...context, folder: join(folder, `${given(step, "count")}-${round}`) }, "process");
}

async function load(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await storeOf(context, step);
  if (blobs === undefined) return undefined;
  const count = given(step, "count");
  const value = Buffer.alloc(SIZE, 7);
  const seconds = await secondsOf(async () => {
    for (let at = 0; at < count; at += BATCH) {
      const length = Math.min(BATCH, count - at);
      await blobs.setMany(Array.from({ length }, (_, index) => [keyAt(at + index, count), value] as const));
    }
  });
  return figure(step, count / seconds);
}

/** Blocks that the store's files take, once it is closed. */
async function weigh(context: Context, step: Step): ReturnType<Operation> {
  await context.close();
  const count = given(step, "count");
  const bytes = allocated(join(context.folder, `${count}-${context.round}`));
  return figure(step, bytes / count - SIZE - KEY_BYTES);
}

function allocated(path: string): number {
  const facts = statSync(path);
  if (!facts.isDirectory()) return facts.blocks * 512;
  return readdirSync(path).reduce((sum, name) => sum + allocated(join(path, name)), 0);
}

async function open(context: Context, step: Step): ReturnType<Operation> {
  const seconds = await secondsOf(async () => {
    const blobs = await storeOf(context, step);
    const value = await blobs?.get(keyAt(1, given(step, "count")));
    if (value?.byteLength !== SIZE) throw new Error("an entry that was loaded isn't there");
  });
  return figure(step, seconds * 1000);
}

async function get(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await storeOf(context, step);
  if (blobs === undefined) return undefined;
  const count = given(step, "count");
  const { getSync } = blobs;
  const at = (turn: number): string => keyAt((turn * 104_729) % count, count);
  const time = given(step, "time");
  const rate = getSync
    ? paceSync((turn) => getSync(at(turn)), time)
    : await pace((turn) => blobs.get(at(turn)), time, 1);
  return figure(step, rate);
}

async function list(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await storeOf(context, step);
  const count = blobs?.count?.bind(blobs);
  if (count === undefined) return undefined;
  const expected = given(step, "count") / 1_000;
  const visit = async (turn: number): Promise<void> => {
    const found = await count(`group-${String(turn % 1_000).padStart(3, "0")}-`);
    if (found !== expected) throw new Error(`${found} keys were listed, ${expected} are there`);
  };
  return figure(step, (await pace(visit, given(step, "time"), 1)) * expected);
}

async function set(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await storeOf(context, step);
  if (blobs === undefined) return undefined;
  const count = given(step, "count");
  const value = Buffer.alloc(SIZE, 9);
  return figure(
    step,
    await pace((turn) => blobs.set(keyAt((turn * 104_729) % count, count), value), given(step, "time"), 64),
  );
}
