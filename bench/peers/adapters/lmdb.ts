/** lmdb-js: one memory-mapped B-tree, values copied out on every read unless its own cache is on. */

import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import type { Blobs, Durability, Peer, Records, Table, Tables } from "../contract.ts";
import { arrayTable } from "./array-table.ts";

const DURABILITY = { full: "awaits `flushed`", process: "noSync" } as const;

function blobs(folder: string, durability: Durability, cache: boolean): Blobs {
  const database: RootDatabase<Buffer, string> = open<Buffer, string>({
    path: join(folder, durability),
    encoding: "binary",
    noSync: durability === "process",
    cache,
  });
  const landed = async (put: Promise<unknown>): Promise<void> => {
    await put;
    // Commits are visible before they are on disk.
    if (durability === "full") await database.flushed;
  };
  return {
    set: (key, value) => landed(database.put(key, value as Buffer)),
    // It syncs within the call.
    setSync: (key, value) => {
      database.putSync(key, value as Buffer);
    },
    setMany: (entries) =>
      landed(
        database.transaction(() => {
          for (const [key, value] of entries) void database.put(key, value as Buffer);
        }),
      ),
    get: (key) => database.get(key),
    getSync: (key) => database.get(key),
    delete: (key) => landed(database.remove(key)),
    count: (prefix) => {
      let count = 0;
      for (const _ of database.getKeys({ start: prefix, end: `${prefix}\uffff` })) count++;
      return count;
    },
    close: () => database.close(),
  };
}

/** Values with the time at which they end, as lmdb has none of its own. */
function records(folder: string): Records {
  const database = open<{ expires: number; value: object }, string>({ path: join(folder, "records") });
  return {
    set: async (key, value, seconds) => {
      await database.put(key, { expires: Date.now() + seconds * 1000, value });
      await database.flushed;
    },
    get: (key) => {
      const found = database.get(key);
      return found !== undefined && found.expires > Date.now() ? found.value : undefined;
    },
    close: () => database.close(),
  };
}

function tables(folder: string): Tables {
  const database = open<Buffer, string>({ path: join(folder, "tables"), encoding: "binary" });
  return {
    store: async (name, values) => {
      await database.put(name, Buffer.from(values.buffer, values.byteOffset, values.byteLength));
      await database.flushed;
    },
    open: (name, columns): Table => {
      // The fast form lends its own memory until the next read. Only `length` tells how much of it is the value.
      const value = database.getBinaryFast(name);
      if (value === undefined) throw new Error(`${name} isn't stored`);
      const all =
        value.byteOffset % 4 === 0
          ? new Float32Array(value.buffer, value.byteOffset, value.length / 4)
          : new Float32Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.length));
      return arrayTable(all, columns);
    },
    close: () => database.close(),
  };
}

export const lmdb: Peer = {
  name: "lmdb",
  package: "lmdb",
  layout: "packed",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, false),
  records,
  tables,
};

/** Holds decoded values too, without looking whether another process has written since. */
export const lmdbCached: Peer = {
  name: "lmdb, its cache",
  package: "lmdb",
  layout: "packed",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, true),
};
