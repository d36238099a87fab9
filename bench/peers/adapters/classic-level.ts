/** LevelDB: a log-structured tree for one process. */

import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import type { Blobs, Durability, Peer } from "../contract.ts";

async function blobs(folder: string, durability: Durability): Promise<Blobs> {
  const database = new ClassicLevel<string, Uint8Array>(join(folder, durability), {
    valueEncoding: "view",
    compression: false,
  });
  await database.open();
  const options = { sync: durability === "full" };
  return {
    set: (key, value) => database.put(key, value, options),
    setMany: (entries) =>
      database.batch(
        entries.map(([key, value]) => ({ type: "put", key, value })),
        options,
      ),
    get: (key) => database.get(key),
    getSync: (key) => database.getSync(key),
    delete: (key) => database.del(key, options),
    count: async (prefix) => {
      let count = 0;
      for await (const _ of database.keys({ gte: prefix, lt: `${prefix}\uffff` })) count++;
      return count;
    },
    close: () => database.close(),
  };
}

export const classicLevel: Peer = {
  name: "classic-level",
  package: "classic-level",
  layout: "packed",
  durability: { full: "sync", process: "no sync" },
  blobs,
};
