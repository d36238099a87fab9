/** Loads one large tensor and reports what that cost in memory, step by step; then writes into its own view of it. */

import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Cache, type Tensor } from "../../../src/index.ts";
import { collected, type Memory, memory } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface ZeroCopyInput {
  readonly root: string;
  /** Of `big`, a matrix of float64 whose elements are 0; `small` has as many columns. */
  readonly rows: number;
  readonly columns: number;
}

/** What each step added, in bytes. */
export interface ZeroCopyReport {
  readonly loaded: Memory;
  readonly sliced: Memory;
  readonly checked: Memory;
  readonly read: Memory;
}

type Matrix = Tensor<Float64Array>;

const WRITTEN = 42;

async function load(cache: Cache, key: string): Promise<Matrix> {
  return (await cache.namespace<Matrix>("tensors").get(key)) as Matrix;
}

async function since(before: Memory): Promise<Memory> {
  await collected();
  const now = memory();
  return {
    resident: now.resident - before.resident,
    private: now.private - before.private,
    anonymous: now.anonymous - before.anonymous,
  };
}

function sum(values: Float64Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] as number;
  return total;
}

/** The code that is going to be measured has run, on another tensor, until nothing of it is left to compile: that takes memory. */
async function warmUp(cache: Cache, columns: number): Promise<void> {
  const small = await load(cache, "small");
  const rows = small.slice(0, 64).data;
  for (let i = 0; i < 500; i++) sum(rows);
  await small.ready();
  sum(small.data);
  for (let i = 0; i < 3; i++) await since(memory());
  equal(small.shape[1], columns);
}

async function measure(cache: Cache, { rows, columns }: ZeroCopyInput): Promise<ZeroCopyReport> {
  await warmUp(cache, columns);
  await collected();
  const before = memory();
  const big = await load(cache, "big");
  const loaded = await since(before);
  deepEqual(big.shape, [rows, columns]);
  ok(big.isView);

  const first = big.slice(0, 2).data;
  const last = big.slice(rows - 2).data;
  equal(last.length, first.length);
  equal(big.row(1).data.buffer, first.buffer);
  throws(() => big.data, { code: "ERR_QUIVER_NOT_READY" });
  const sliced = await since(before);

  await big.ready();
  const checked = await since(before);
  equal(sum(big.data), 0);
  const read = await since(before);
  return { loaded, sliced, checked, read };
}

/** Nobody else sees what is written into a view: not the file, not another thread; who asks again in this one does. */
async function writeInto(cache: Cache, root: string): Promise<void> {
  const big = await load(cache, "big");
  big.data[3] = WRITTEN;
  equal((await load(cache, "big")).at(0, 3), WRITTEN);
  const worker = new Worker(new URL(import.meta.url), { workerData: root });
  equal(await new Promise((resolve) => worker.once("message", resolve)), 0);
  await rejects(async () => {
    for (const failure of (await cache.verify()).damaged) throw failure.error;
    throw new Error("undamaged");
  }, /undamaged/);
}

if (isMainThread) {
  const input = inputOf<ZeroCopyInput>();
  const cache = await Cache.open(input.root);
  const report = await measure(cache, input);
  await writeInto(cache, input.root);
  tell({ kind: "report", ...report });
  await cache.close();
  leave();
} else {
  const cache = await Cache.open(workerData);
  parentPort?.postMessage((await load(cache, "big")).at(0, 3));
  await cache.close();
}
