/** Every peer by name. A module is loaded only in the process that runs it. */

import type { Peer } from "../contract.ts";

export const NODE_PEERS: Readonly<Record<string, () => Promise<Peer>>> = {
  quiver: async () => (await import("./quiver.ts")).quiver,
  "quiver, files": async () => (await import("./quiver.ts")).quiverFiles,
  "quiver, not held": async () => (await import("./quiver.ts")).quiverNotHeld,
  fs: async () => (await import("./fs.ts")).fs,
  "fs, digested": async () => (await import("./fs.ts")).fsDigested,
  lmdb: async () => (await import("./lmdb.ts")).lmdb,
  "lmdb, its cache": async () => (await import("./lmdb.ts")).lmdbCached,
  "better-sqlite3": async () => (await import("./better-sqlite3.ts")).betterSqlite3,
  "classic-level": async () => (await import("./classic-level.ts")).classicLevel,
  cacache: async () => (await import("./cacache.ts")).cacache,
  "keyv, sqlite": async () => (await import("./keyv-sqlite.ts")).keyvSqlite,
  "unstorage, fs": async () => (await import("./unstorage-fs.ts")).unstorageFs,
  "flat-cache": async () => (await import("./flat-cache.ts")).flatCache,
  "lru-cache": async () => (await import("./lru-cache.ts")).lruCache,
  lancedb: async () => (await import("./lancedb.ts")).lancedb,
  "arrow, fs": async () => (await import("./arrow-fs.ts")).arrowFs,
};

/** Run by python/driver.py, which has an adapter of the same name each. */
export const PYTHON_PEERS: readonly string[] = [
  "diskcache",
  "joblib",
  "shelve",
  "pickle files",
  "json files",
  "numpy memmap",
  "safetensors",
  "pyarrow",
  "datasets",
];
