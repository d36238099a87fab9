/** keyv over SQLite: values as JSON, bytes in base64 within it, a query a call. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import KeyvSqlite from "@keyv/sqlite";
import Keyv from "keyv";
import type { Blobs, Memo, Peer, Records } from "../contract.ts";

function connect<T>(folder: string, name: string): Keyv<T> {
  mkdirSync(folder, { recursive: true });
  return new Keyv<T>({ store: new KeyvSqlite({ uri: `sqlite://${join(folder, name)}.sqlite` }) });
}

function blobs(folder: string): Blobs {
  const store = connect<Buffer>(folder, "full");
  // Its serialiser knows Buffers, and writes other typed arrays as objects.
  const set = (key: string, value: Uint8Array): Promise<boolean> =>
    store.set(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  return {
    set,
    setMany: (entries) => Promise.all(entries.map(([key, value]) => set(key, value))),
    get: (key) => store.get(key),
    delete: (key) => store.delete(key),
    close: () => store.disconnect(),
  };
}

function records(folder: string): Records {
  const store = connect<object>(folder, "records");
  return {
    set: (key, value, seconds) => store.set(key, value, seconds * 1000),
    get: (key) => store.get(key),
    close: () => store.disconnect(),
  };
}

function memo(folder: string, compute: (argument: string) => Promise<object>): Memo {
  const store = connect<object>(folder, "memo");
  return {
    call: async (argument) => {
      const found = await store.get(argument);
      if (found !== undefined) return found;
      const value = await compute(argument);
      await store.set(argument, value, 7_200_000);
      return value;
    },
    close: () => store.disconnect(),
  };
}

export const keyvSqlite: Peer = {
  name: "keyv, sqlite",
  package: "@keyv/sqlite",
  layout: "packed",
  durability: { full: "rollback journal, synchronous FULL" },
  blobs,
  records,
  memo,
};
