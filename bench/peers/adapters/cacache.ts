/** npm's cache: content by digest, an index file a key, every read verified, nothing synced. */

import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import cache from "cacache";
import type { Blobs, Memo, Peer, Records, Streams } from "../contract.ts";

/** Its memory of values that were written is off by default. */
function blobs(folder: string): Blobs {
  const path = join(folder, "process");
  const set = (key: string, value: Uint8Array): Promise<unknown> => cache.put(path, key, value as Buffer);
  const get = async (key: string): Promise<Uint8Array | undefined> => {
    // Its own error for a missing key is thrown at the cost of a stack trace; asking first is what its users do.
    const info = await cache.get.info(path, key);
    return info === null ? undefined : cache.get.byDigest(path, info.integrity);
  };
  return {
    set,
    setMany: (entries) => Promise.all(entries.map(([key, value]) => set(key, value))),
    get,
    delete: (key) => cache.rm.entry(path, key),
    count: async (prefix) => Object.keys(await cache.ls(path)).filter((key) => key.startsWith(prefix)).length,
    close: () => undefined,
  };
}

function records(folder: string): Records {
  const path = join(folder, "records");
  return {
    set: (key, value, seconds) =>
      cache.put(path, key, JSON.stringify(value), { metadata: { expires: Date.now() + seconds * 1000 } }),
    get: async (key) => {
      const info = await cache.get.info(path, key);
      if (info === null || info.metadata.expires <= Date.now()) return undefined;
      return JSON.parse((await cache.get.byDigest(path, info.integrity)).toString());
    },
    close: () => undefined,
  };
}

function streams(folder: string): Streams {
  const path = join(folder, "streams");
  return {
    write: (key, chunks) =>
      pipeline(Readable.from(chunks), cache.put.stream(path, key, { algorithms: ["sha256"] })),
    close: () => undefined,
  };
}

function memo(folder: string, compute: (argument: string) => Promise<object>): Memo {
  const kept = records(folder);
  return {
    call: async (argument) => {
      const found = await kept.get(argument);
      if (found !== undefined) return found;
      const value = await compute(argument);
      await kept.set(argument, value, 7_200);
      return value;
    },
    close: () => undefined,
  };
}

export const cacache: Peer = {
  name: "cacache",
  package: "cacache",
  layout: "a file an entry",
  durability: { process: "never synced" },
  blobs,
  records,
  streams,
  memo,
};
