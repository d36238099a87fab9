/** Loads tensors in a fresh process as one contender does, and prints how long that took; see `loads.ts`. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { Cache, Tensor } from "quiver-cache";
import { type Loaded, TENSORS } from "./loads.ts";
import { type Name, rateOf } from "./race.ts";

/** Loads a tensor; its first row. */
type Load = (name: string) => Promise<ArrayLike<number>>;

const [name, home] = process.argv.slice(2) as [Name, string];

const openers: Readonly<Record<Name, () => Promise<Load>>> = {
  quiver: async () => {
    const cache = await Cache.open(join(home, "quiver"));
    const tensors = cache.namespace<Tensor>("tensors");
    return async (key) => (await tensors.get(key))?.slice(0, 1).data as Float32Array;
  },
  fs: async () => async (key) => {
    const file = readFileSync(join(home, `${key}.npy`));
    const start = file.byteOffset + 10 + file.readUInt16LE(8);
    const length = (file.byteLength - (start - file.byteOffset)) / 4;
    return new Tensor(new Float32Array(file.buffer, start, length), [length / 256, 256]).slice(0, 1)
      .data as Float32Array;
  },
  lmdb: async () => {
    const database = open<Buffer, string>({ path: join(home, "lmdb"), encoding: "binary" });
    return async (key) => {
      const value = database.get(key) as Buffer;
      // A copy where the bytes don't begin at a multiple of four.
      const aligned = value.byteOffset % 4 === 0 ? value : new Uint8Array(value);
      const all = new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
      return new Tensor(all, [all.length / 256, 256]).slice(0, 1).data as Float32Array;
    };
  },
};

const load = await openers[name]();
const times: number[] = [];
let sum = 0;
for (const tensor of TENSORS) {
  const start = performance.now();
  const row = await load(tensor);
  sum += row[0] ?? Number.NaN;
  times.push((performance.now() - start) * 1000);
}
const [first = 0, ...later] = times;
const loaded: Loaded = { first, next: rateOf(later).median, sum };
console.log(JSON.stringify(loaded));
process.exit(0);
