/** This package: packed by default, with a file an entry, and without values held in memory. */

import { join } from "node:path";
import { Cache, type CacheOptions, type NamespaceOptions, Tensor } from "quiver-cache";
import type { Blobs, Durability, Memo, Peer, Records, Streams, Table, Tables } from "../contract.ts";

const DURABILITY = { full: "durability full", process: "durability process" } as const;

async function blobs(
  folder: string,
  durability: Durability,
  options: CacheOptions,
  settings: NamespaceOptions,
): Promise<Blobs> {
  const cache = await Cache.open(join(folder, durability), { durability, ...options });
  const values = cache.namespace<Uint8Array>("blobs", { codec: "bin", ...settings });
  // The first operation opens a namespace; until then `getSync` finds nothing.
  await values.has("anything");
  return {
    set: (key, value) => values.set(key, value),
    setSync: (key, value) => {
      values.setSync(key, value);
    },
    setMany: (entries) => values.setMany(entries),
    get: (key) => values.get(key),
    getSync: (key) => values.getSync(key),
    delete: (key) => values.delete(key),
    count: async (prefix) => {
      let count = 0;
      for await (const _ of values.keys({ prefix })) count++;
      return count;
    },
    close: () => cache.close(),
  };
}

async function records(folder: string): Promise<Records> {
  const cache = await Cache.open(join(folder, "records"));
  const values = cache.namespace<object>("records", { codec: "json" });
  return {
    set: (key, value, seconds) => values.set(key, value, { ttl: `${seconds}s` }),
    get: (key) => values.get(key),
    close: () => cache.close(),
  };
}

async function tables(folder: string): Promise<Tables> {
  const cache = await Cache.open(join(folder, "tables"));
  const values = cache.namespace<Tensor<Float32Array>>("tables", { codec: "npy" });
  return {
    store: (name, data, columns) => values.set(name, new Tensor(data, [data.length / columns, columns])),
    open: (name, columns): Table => {
      const tensor = values.getSync(name);
      if (tensor === undefined) throw new Error(`${name} isn't stored`);
      let checked = false;
      return {
        gather: (rows) => tensor.gather(rows).data,
        gatherInto: (rows, out) => tensor.gather(rows, new Tensor(out, [rows.length, columns])).data,
        // Many rows that nobody has looked at yet are compared with their sums beside the event loop.
        slice: (start, end) => {
          const rows = tensor.slice(start, end);
          return checked || end - start < 1_000 ? rows.data : rows.ready().then(({ data }) => data);
        },
        all: async () => (await tensor.ready()).data,
        sum: () => tensor.summary()?.sum ?? Number.NaN,
        verify: async () => {
          await tensor.ready();
          checked = true;
        },
      };
    },
    close: () => cache.close(),
  };
}

async function streams(folder: string): Promise<Streams> {
  const cache = await Cache.open(join(folder, "streams"));
  const values = cache.namespace<Uint8Array>("streams");
  return { write: (key, chunks) => values.set(key, chunks), close: () => cache.close() };
}

async function memo(folder: string, compute: (argument: string) => Promise<object>): Promise<Memo> {
  const cache = await Cache.open(join(folder, "memo"));
  const values = cache.namespace<object>("memo", { codec: "json" });
  return {
    call: (argument) => values.getOrCompute(argument, () => compute(argument)),
    close: () => cache.close(),
  };
}

export const quiver: Peer = {
  name: "quiver",
  layout: "packed",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, {}, {}),
  records,
  tables,
  streams,
  memo,
};

export const quiverFiles: Peer = {
  name: "quiver, files",
  layout: "a file an entry",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, {}, { layout: "hashed", files: "always" }),
};

export const quiverNotHeld: Peer = {
  name: "quiver, not held",
  layout: "packed",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, { memoryLimit: 0 }, {}),
};
