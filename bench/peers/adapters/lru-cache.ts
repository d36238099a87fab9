/** The upper bound: a map in this process, which nobody else sees and which ends with it. */

import { LRUCache } from "lru-cache";
import type { Blobs, Peer } from "../contract.ts";

function blobs(): Blobs {
  const cache = new LRUCache<string, Uint8Array>({ max: 10_000_000, maxSize: 4e9, sizeCalculation: sizeOf });
  const setSync = (key: string, value: Uint8Array): void => {
    cache.set(key, value);
  };
  return {
    set: setSync,
    setSync,
    setMany: (entries) => {
      for (const [key, value] of entries) setSync(key, value);
    },
    get: (key) => cache.get(key),
    getSync: (key) => cache.get(key),
    delete: (key) => cache.delete(key),
    close: () => cache.clear(),
  };
}

function sizeOf(value: Uint8Array): number {
  return value.byteLength;
}

export const lruCache: Peer = {
  name: "lru-cache",
  package: "lru-cache",
  layout: "memory",
  durability: {},
  blobs,
};
