/** flat-cache: everything in memory, the whole of it written as one JSON file when it is saved. */

import { FlatCache } from "flat-cache";
import type { Blobs, Peer, Records } from "../contract.ts";

function load(folder: string, cacheId: string): FlatCache {
  const cache = new FlatCache({ cacheDir: folder, cacheId, lruSize: 0, ttl: 0 });
  cache.load(cacheId, folder);
  return cache;
}

/** Bytes are kept as base64, since the file is JSON. */
function blobs(folder: string): Blobs {
  const cache = load(folder, "blobs");
  const setSync = (key: string, value: Uint8Array): void => {
    cache.setKey(key, Buffer.from(value).toString("base64"));
  };
  const get = (key: string): Uint8Array | undefined => {
    const text = cache.getKey<string | undefined>(key);
    return text === undefined ? undefined : Buffer.from(text, "base64");
  };
  return {
    set: setSync,
    setSync,
    setMany: (entries) => {
      for (const [key, value] of entries) setSync(key, value);
    },
    get,
    getSync: get,
    delete: (key) => cache.removeKey(key),
    count: (prefix) => cache.keys().filter((key) => key.startsWith(prefix)).length,
    close: () => cache.save(true),
  };
}

function records(folder: string): Records {
  const cache = load(folder, "records");
  return {
    set: (key, value, seconds) => cache.set(key, value, seconds * 1000),
    get: (key) => cache.get(key),
    close: () => cache.save(true),
  };
}

export const flatCache: Peer = {
  name: "flat-cache",
  package: "flat-cache",
  layout: "one file",
  // A set reaches the disk only when somebody saves the whole.
  durability: {},
  blobs,
  records,
};
