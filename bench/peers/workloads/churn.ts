/** A store that is full: every value that comes in makes another one go, while others are read. */

import type { Blobs, Step } from "../contract.ts";
import { pace } from "../measure.ts";
import { bytes } from "../values.ts";
import { blobsOf, type Context, figure, given, type Operation, type Workload } from "../workload.ts";

/** Values that are in the store at any time. */
const HELD = 20_000;
const SIZE = 10_000;
const IN_FLIGHT = 16;

export const churn: Workload = {
  name: "churn",
  title: "Churn: a store of 20,000 values of 10 KB in which each new one replaces an old one",
  notes: [
    "A turn stores a value under a new key, removes the oldest and reads one in between; 16 turns are in flight. Nothing is synced.",
  ],
  peers: [
    "quiver",
    "quiver, files",
    "lmdb",
    "better-sqlite3",
    "classic-level",
    "cacache",
    "unstorage, fs",
    "fs",
  ],
  main: [],
  prepare: ({ name }) => [[{ op: "fill", count: name === "tiny" ? 100 : HELD }]],
  round: ({ name, time }) => [
    [
      {
        op: "turn",
        count: name === "tiny" ? 100 : HELD,
        time: time * 10,
        place: { table: "set, delete and get", column: "turns", unit: "/s" },
      },
    ],
  ],
  operations: { fill, turn: turns },
};

const keyAt = (turn: number): string => `churn-${turn}`;

async function fill(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context, "process");
  const count = given(step, "count");
  for (let at = 0; at < count; at += 100) {
    const entries = Array.from(
      { length: 100 },
      (_, index) => [keyAt(at + index), bytes(SIZE, index)] as const,
    );
    await blobs?.setMany(entries);
  }
  return undefined;
}

/** Rounds go on where those before them ended. */
async function turns(context: Context, step: Step): ReturnType<Operation> {
  const blobs = await blobsOf(context, "process");
  if (blobs === undefined) return undefined;
  const held = given(step, "count");
  const values = Array.from({ length: 8 }, (_, seed) => bytes(SIZE, seed));
  const begin = await oldest(blobs, held);
  const run = async (turn: number): Promise<void> => {
    const at = begin + turn;
    await blobs.set(keyAt(at + held), values[turn % 8] as Uint8Array);
    if ((await blobs.get(keyAt(at + (held >> 1)))) === undefined) throw new Error("a value was lost");
    await blobs.delete(keyAt(at));
  };
  return figure(step, await pace(run, given(step, "time"), IN_FLIGHT));
}

/** The first key that is still there and the end of an unbroken run; found by halving. */
async function oldest(blobs: Blobs, held: number): Promise<number> {
  let from = 0;
  while ((await blobs.get(keyAt(from))) === undefined) from += held >> 1;
  let low = Math.max(0, from - (held >> 1));
  while (low < from) {
    const middle = (low + from) >> 1;
    if ((await blobs.get(keyAt(middle))) === undefined) low = middle + 1;
    else from = middle;
  }
  return from;
}
