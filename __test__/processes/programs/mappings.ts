/**
 * Reads more different large values than may be mapped, without and with keeping them, and reports what the process
 * had mapped; as a process of its own or as a worker thread.
 */

import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Cache, isQuiverError, type Tensor } from "../../../src/index.ts";
import { collected, leftMapped, mappedValues } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface MappingsInput {
  readonly root: string;
  /** Values `v0` to `v<count - 1>`, each its number in every element. */
  readonly count: number;
  readonly maxMappings: number;
  readonly maxCopies: number;
}

export interface MappingsReport {
  /** Most mappings of values at any time. */
  readonly mappings: number;
  /** Values that were read; all of them right. */
  readonly read: number;
  /** Code of the error that ended it. */
  readonly code: string | null;
}

/** Reads all values one after another; `keep` gets each. */
async function readAll(cache: Cache, count: number, keep: (value: Tensor) => void): Promise<MappingsReport> {
  const space = cache.namespace<Tensor>("values");
  const looks = Math.max(97, Math.ceil(count / 50));
  let mappings = 0;
  let read = 0;
  try {
    for (; read < count; read++) {
      const value = (await space.get(`v${read}`)) as Tensor;
      const last = value.shape[0] as number;
      if (value.at(0) !== read || value.at(last - 1) !== read) throw new Error(`v${read} is wrong`);
      keep(value);
      if (read % looks === 0) mappings = Math.max(mappings, mappedValues());
    }
    return { mappings: Math.max(mappings, mappedValues()), read, code: null };
  } catch (error) {
    if (!isQuiverError(error)) throw error;
    return { mappings: Math.max(mappings, mappedValues()), read, code: error.code };
  }
}

async function run(input: MappingsInput): Promise<Record<string, MappingsReport | number>> {
  const { root, count, maxMappings, maxCopies } = input;
  const cache = await Cache.open(root, { maxMappings, maxCopies });
  const dropped = await readAll(cache, count, () => undefined);
  await collected();
  const kept: Tensor[] = [];
  const refused = await readAll(cache, count, (value) => kept.push(value));
  for (const [i, value] of kept.entries()) if (value.at(1) !== i) throw new Error(`v${i} changed`);
  kept.length = 0;
  await collected();
  const again = await readAll(cache, count, () => undefined);
  await cache.close();
  return { dropped, refused, again, left: isMainThread ? await leftMapped() : 0 };
}

if (isMainThread) {
  tell({ kind: "report", ...(await run(inputOf())) });
  leave();
} else {
  parentPort?.postMessage(await run(workerData as MappingsInput));
  // A thread with nothing left to do waits for V8's compiler, which may wait for that thread: nodejs/node#54918.
  process.exit();
}
