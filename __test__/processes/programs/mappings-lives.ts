/**
 * Values that outlive or outnumber their readers: workers that end, are terminated in the middle of a read or close
 * their cache while values are in use; values that are transferred and cloned; a cache opened twice.
 */

import { deepEqual, equal, rejects } from "node:assert/strict";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Cache, type Namespace, type Tensor } from "../../../src/index.ts";
import type { MappingsInput } from "./mappings.ts";
import { leftMapped } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

type Values = Namespace<Tensor<Float32Array>>;

/** Workers that come and go three at a time, by how they end. Hits by `terminate` on the moment that counts are rare. */
const WORKERS = { leave: 6, close: 6, read: 6, spin: 36 } as const;

type How = keyof typeof WORKERS;

async function read(values: Values, number: number): Promise<Tensor<Float32Array>> {
  const value = (await values.get(`v${number}`)) as Tensor<Float32Array>;
  equal(value.data[5], number);
  return value;
}

/** In a worker: keeps a few values and, as told, goes on reading, with promises or without, closes the cache, or ends with it open. */
async function work({ root, how }: { root: string; how: How }): Promise<void> {
  const cache = await Cache.open(root);
  const values = cache.namespace<Tensor<Float32Array>>("values");
  const kept = [await read(values, 1), await read(values, 2)];
  if (how === "close") {
    await cache.close();
    await rejects(values.get("v3"), { code: "ERR_QUIVER_CLOSED" });
  }
  equal(kept[1]?.data[7], 2);
  parentPort?.postMessage("ready");
  for (let number = 0; how === "read"; number = (number + 1) % 50) await read(values, number);
  for (let number = 0; how === "spin"; number = (number + 1) % 50) {
    equal(values.getSync(`v${number}`)?.data[5], number);
    if (number === 0) await new Promise(setImmediate);
  }
  // A worker ends when nothing is under way; "leave" ends it with its cache open and its values in use.
  if (how === "leave") process.exit(0);
}

function start(root: string, how: How): { worker: Worker; ready: Promise<unknown>; ended: Promise<unknown> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: { root, how } });
  const failed = new Promise((_, reject) => worker.on("error", reject));
  const once = (event: string): Promise<unknown> => new Promise((resolve) => worker.on(event, resolve));
  return {
    worker,
    ready: Promise.race([once("message"), failed]),
    ended: Promise.race([once("exit"), failed]),
  };
}

async function workersComeAndGo(root: string, values: Values): Promise<void> {
  const mine = await read(values, 1);
  for (const how of Object.keys(WORKERS) as How[]) {
    for (let round = 0; round < WORKERS[how]; round += 3) {
      const workers = [0, 1, 2].map(() => start(root, how));
      await Promise.all(workers.map(({ ready }) => ready));
      await Promise.all(
        workers.map(({ worker, ended }) => (how === "read" || how === "spin" ? worker.terminate() : ended)),
      );
    }
    equal(mine.data[100], 1);
    await read(values, 3);
  }
}

/** Whatever the version of Node makes of an attempt to transfer, an error or a copy: the value stays whole. */
async function transferred(values: Values, key: string): Promise<void> {
  const value = (await values.get(key)) as Tensor<Float32Array>;
  const buffer = value.data.buffer as ArrayBuffer;
  const { length } = value.data;
  const { port1, port2 } = new MessageChannel();
  for (const transfer of [
    () => port1.postMessage(value.data, [buffer]),
    () => port1.postMessage(value.slice(0, 10).data, [value.slice(0, 10).data.buffer as ArrayBuffer]),
    () => structuredClone(value.data, { transfer: [buffer] }),
  ]) {
    try {
      transfer();
    } catch (error) {
      equal((error as Error).name, "DataCloneError");
    }
    deepEqual([value.data.length, value.data[5], buffer.byteLength > 0], [length, 4, true]);
  }
  const clone = structuredClone(value.slice(0, 10).data);
  clone[5] = 99;
  equal(value.data[5], 4);
  equal((await values.get(key))?.data[5], 4);
  port1.close();
  port2.close();
}

async function openedTwice(root: string): Promise<void> {
  const [one, two] = await Promise.all([Cache.open(root), Cache.open(root)]);
  const [first, second]: [Values, Values] = [one.namespace("values"), two.namespace("values")];
  const value = await read(first, 6);
  await first.set("shared", value);
  equal((await second.get("shared"))?.data[5], 6);
  await one.close();
  equal(value.data[9], 6);
  await read(second, 7);
  await second.delete("shared");
  await two.close();
}

if (isMainThread) {
  const { root } = inputOf<MappingsInput>();
  const cache = await Cache.open(root, { memoryLimit: 0 });
  const values = cache.namespace<Tensor<Float32Array>>("values");
  await workersComeAndGo(root, values);
  for (const key of ["v4", "small"]) await transferred(values, key);
  await openedTwice(root);
  await read(values, 8);
  await cache.close();
  tell({ kind: "report", left: await leftMapped() });
  leave();
} else {
  await work(workerData);
}
