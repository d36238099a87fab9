/** A function whose results are kept: what a hit costs, and what a miss adds to the function. */

import type { Memo, Step } from "../contract.ts";
import { latencies, pace } from "../measure.ts";
import { record } from "../values.ts";
import { type Context, figure, given, type Operation, type Workload } from "../workload.ts";

export const memoised: Workload = {
  name: "memoised",
  title: "A memoised function",
  notes: [
    "The function gives a record of 10 to 15 KB at once, so that a miss costs what the cache adds to it: looking, storing and acknowledging. `quiver` also sees to it that one caller computes for all processes; with the others a look-up, a call and a set are written out.",
    "`quiver`, `keyv` and `fs` make a miss durable before they return, `cacache` doesn't sync.",
  ],
  peers: ["quiver", "keyv, sqlite", "cacache", "fs"],
  main: ["quiver", "keyv, sqlite"],
  prepare: () => [],
  round: ({ time, writeTime }) => [
    [
      { op: "hit", time: time * 2, place: { table: "memoised", column: "hits", unit: "/s" } },
      { op: "miss", time: writeTime, place: { table: "memoised", column: "miss, p50", unit: "µs" } },
    ],
  ],
  operations: { hit, miss },
};

let calls = 0;

async function compute(argument: string): Promise<object> {
  calls++;
  return record(Number(argument.split("-").at(-1)));
}

function opened(context: Context): Promise<Memo> | undefined {
  const open = context.peer.memo?.bind(context.peer);
  return open && context.opened("memo", () => open(context.folder, compute));
}

async function hit(context: Context, step: Step): ReturnType<Operation> {
  const memo = await opened(context);
  if (memo === undefined) return undefined;
  const seen = JSON.stringify(await memo.call("input-1"));
  if (seen !== JSON.stringify(record(1))) throw new Error("another value came back");
  const before = calls;
  const rate = await pace(() => memo.call("input-1"), given(step, "time"), 1);
  if (calls !== before) throw new Error("the function ran although its result was kept");
  return figure(step, rate);
}

async function miss(context: Context, step: Step): ReturnType<Operation> {
  const memo = await opened(context);
  if (memo === undefined) return undefined;
  const run = (turn: number) => memo.call(`round-${context.round}-input-${turn}`);
  return figure(step, (await latencies(run, given(step, "time"))).p50);
}
