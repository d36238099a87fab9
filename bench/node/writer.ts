/** Sets values that another process reads, the same ones that are there, until that one lets go of it. */

import { setTimeout as pause } from "node:timers/promises";
import { bytes, openStores } from "./contestants.ts";

export interface WriterInput {
  readonly folder: string;
  readonly keys: number;
  readonly size: number;
}

const { folder, keys, size } = JSON.parse(process.argv[2] as string) as WriterInput;
const { cache, lmdb } = await openStores(folder);
const values = cache.namespace<Uint8Array>("race");
let running = true;
process.on("disconnect", () => {
  running = false;
});
process.send?.("ready");
for (let index = 0; running; index = (index + 1) % keys) {
  const value = bytes(size, index);
  await Promise.all([values.set(`shared-${index}`, value), lmdb.put(`shared-${index}`, Buffer.from(value))]);
  await pause(5);
}
await Promise.all([cache.close(), lmdb.close()]);
