/** Results of 10 to 15 KB as plain values with a time to live: what a service keeps of its slow stages. */

import type { Records, Step } from "../contract.ts";
import { latencies, pace } from "../measure.ts";
import { record } from "../values.ts";
import { type Context, figure, given, type Operation, type Scale, type Workload } from "../workload.ts";

const SECONDS = 7_200;

export const records: Workload = {
  name: "records",
  title: "Records of 10 to 15 KB with a time to live",
  notes: [
    "Each peer stores them as it stores values: `quiver`, `fs`, `better-sqlite3`, `keyv`, `cacache` and `unstorage` as JSON, `lmdb` as MessagePack, `flat-cache` in memory. `quiver` hands out the frozen object that it holds; the others parse one for each read. `quiver`, `lmdb`, `better-sqlite3`, `keyv` and `fs` are durable at the power cut, the others are not.",
  ],
  peers: ["quiver", "lmdb", "better-sqlite3", "keyv, sqlite", "cacache", "unstorage, fs", "flat-cache", "fs"],
  main: ["quiver", "lmdb", "better-sqlite3", "keyv, sqlite", "fs"],
  prepare: (scale) => [[{ op: "fill", count: countOf(scale) }], [{ op: "digest", count: countOf(scale) }]],
  round: (scale) => {
    const step = (op: string, column: string, more: Partial<Step> = {}): Step => ({
      op,
      count: countOf(scale),
      time: scale.time * 2,
      place: { table: "records", column, unit: "/s" },
      ...more,
    });
    const time = scale.writeTime;
    return [
      [
        step("first", "get, first touch", { inMemory: true }),
        step("get", "get, awaited", { inFlight: 1 }),
        step("get latency", "get, p99", { place: { table: "latency", column: "get, p99", unit: "µs" } }),
      ],
      [
        step("set", "set, one at a time", { inFlight: 1, time }),
        step("set", "set, 64 in flight", { inFlight: 64, time }),
        step("set latency", "set, p99", {
          place: { table: "latency", column: "set, p99", unit: "µs" },
          time,
        }),
      ],
    ];
  },
  operations: { fill, digest, first, get, "get latency": getLatency, set, "set latency": setLatency },
};

function countOf({ name }: Scale): number {
  return name === "tiny" ? 20 : 1_000;
}

const keyAt = (index: number): string => `enrichment-${index}`;

function opened(context: Context): Promise<Records> | undefined {
  const open = context.peer.records?.bind(context.peer);
  return open && context.opened("records", () => open(context.folder));
}

async function fill(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  const indices = Array.from({ length: given(step, "count") }, (_, index) => index);
  if (store) await Promise.all(indices.map((index) => store.set(keyAt(index), record(index), SECONDS)));
  return undefined;
}

async function digest(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  if (store === undefined) return undefined;
  for (let index = 0; index < given(step, "count"); index++) {
    const value = JSON.stringify(await store.get(keyAt(index)));
    if (value !== JSON.stringify(record(index))) return { seen: [`another value at ${index}`] };
  }
  return { seen: ["what was stored"] };
}

async function first(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  if (store === undefined) return undefined;
  const count = given(step, "count");
  const start = performance.now();
  for (let index = 0; index < count; index++) await store.get(keyAt(index));
  return figure(step, (count * 1000) / (performance.now() - start));
}

async function get(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  if (store === undefined) return undefined;
  const read = (turn: number) => store.get(keyAt(turn % given(step, "count")));
  return figure(step, await pace(read, given(step, "time"), given(step, "inFlight")));
}

async function getLatency(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  if (store === undefined) return undefined;
  const read = (turn: number) => store.get(keyAt((turn * 7) % given(step, "count")));
  return figure(step, (await latencies(read, given(step, "time"))).p99);
}

function writing(store: Records, step: Step): (turn: number) => unknown {
  const values = Array.from({ length: 16 }, (_, index) => record(index));
  return (turn) => store.set(keyAt(turn % given(step, "count")), values[turn % 16] as object, SECONDS);
}

async function set(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  return (
    store && figure(step, await pace(writing(store, step), given(step, "time"), given(step, "inFlight")))
  );
}

async function setLatency(context: Context, step: Step): ReturnType<Operation> {
  const store = await opened(context);
  return store && figure(step, (await latencies(writing(store, step), given(step, "time"))).p99);
}
