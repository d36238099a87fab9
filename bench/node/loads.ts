/**
 * The first load of a tensor: from asking to holding its first row. Every sample is a process of its own, because
 * whatever was loaded once is mapped already.
 */

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { open } from "lmdb";
import { Cache, saveFile, Tensor } from "quiver-cache";
import { NAMES, type Name, type Result, rateOf } from "./race.ts";

/** What `load.ts` tells: microseconds, and what it read. */
export interface Loaded {
  readonly first: number;
  readonly next: number;
  readonly sum: number;
}

const SIZES = [
  { label: "1 MB", megabytes: 1 },
  { label: "64 MB", megabytes: 64 },
] as const;

/** Columns of the stored tensors, which are of float32. */
const COLUMNS = 256;

export async function loadResults(folder: string, rounds: number): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const { label, megabytes } of SIZES) {
    const home = join(folder, `tensors-${megabytes}`);
    await storeTensors(home, megabytes);
    const samples = new Map<Name, Loaded[]>(NAMES.map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const name of NAMES) samples.get(name)?.push(loadInProcess(name, home));
    }
    if (new Set([...samples.values()].flat().map(({ sum }) => sum)).size !== 1) {
      throw new Error("the contenders loaded different values");
    }
    const ratesOf = (time: (loaded: Loaded) => number): Result["rates"] =>
      Object.fromEntries(
        [...samples].map(([name, all]) => [name, rateOf(all.map((one) => 1e6 / time(one)))]),
      );
    results.push(
      {
        title: `first load of a ${label} tensor, first of the process`,
        rates: ratesOf(({ first }) => first),
      },
      { title: `first load of a ${label} tensor, later ones`, rates: ratesOf(({ next }) => next) },
    );
  }
  return results;
}

/** Names of the tensors: the first, some that let the engine compile what it runs, and the ones that are timed. */
export const TENSORS: readonly string[] = Array.from({ length: 12 }, (_, index) => `tensor-${index}`);

async function storeTensors(home: string, megabytes: number): Promise<void> {
  await using cache = await Cache.open(join(home, "quiver"));
  const tensors = cache.namespace<Tensor>("tensors");
  const database = open<Buffer, string>({ path: join(home, "lmdb"), encoding: "binary" });
  const values = new Float32Array((megabytes * 1024 * 1024) / 4);
  for (const [index, name] of TENSORS.entries()) {
    values.fill(index + 1);
    const tensor = new Tensor(values, [values.length / COLUMNS, COLUMNS]);
    await tensors.set(name, tensor);
    await saveFile(join(home, `${name}.npy`), tensor);
    await database.put(name, Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  }
  await database.close();
}

function loadInProcess(name: Name, home: string): Loaded {
  const program = fileURLToPath(new URL("./load.js", import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [program, name, home], { encoding: "utf8" }));
}
