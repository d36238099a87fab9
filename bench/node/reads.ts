/** Reading: values held in memory, values that are not, and keys that have none. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { bytes, type Contestants, SIZES } from "./contestants.ts";
import type { Contender, Race } from "./race.ts";

type Get = (key: string) => unknown;

export async function readRaces(contestants: Contestants): Promise<readonly Race[]> {
  const races: Race[] = [];
  for (const { label, size } of SIZES) {
    const keys = Array.from({ length: size > 100_000 ? 16 : 1_000 }, (_, index) => `read-${size}-${index}`);
    await store(contestants, keys, size);
    races.push(...racesOver(contestants, keys, label));
  }
  return races;
}

export async function store(contestants: Contestants, keys: readonly string[], size: number): Promise<void> {
  const { hot, lmdb, lmdbCached, files } = contestants;
  for (const [index, key] of keys.entries()) {
    const value = bytes(size, index);
    files.set(key, value);
    void hot.set(key, value);
    void lmdb.put(key, Buffer.from(value));
    await lmdbCached.put(key, Buffer.from(value));
  }
}

function racesOver(
  { hot, cold, lmdb, lmdbCached, files }: Contestants,
  keys: readonly string[],
  label: string,
): readonly Race[] {
  const missing = keys.map((key) => `${key}-missing`);
  const same = async (...gets: Get[]): Promise<void> => {
    for (const key of keys) {
      const [expected, ...others] = await Promise.all(
        gets.map(async (get) => (await get(key)) as Uint8Array),
      );
      for (const other of others) deepStrictEqual(new Uint8Array(other), new Uint8Array(expected ?? []));
    }
  };
  const fromFile: Get = (key) => readFile(files.path(key));
  const againstHeld = (title: string, rival: Contestants["lmdb"]): readonly Race[] => [
    {
      title: `get ${label}, ${title}`,
      contenders: {
        quiver: now(keys, (key) => hot.getSync(key)),
        fs: now(keys, (key) => files.get(key)),
        lmdb: now(keys, (key) => rival.get(key)),
      },
      check: () =>
        same(
          (key) => files.get(key),
          (key) => hot.get(key),
          (key) => rival.get(key),
        ),
    },
    {
      title: `await get ${label}, ${title}`,
      contenders: {
        quiver: awaited(keys, (key) => hot.get(key)),
        fs: awaited(keys, fromFile),
        lmdb: awaited(keys, (key) => rival.get(key)),
      },
      check: () =>
        same(
          fromFile,
          (key) => hot.get(key),
          (key) => rival.get(key),
        ),
    },
  ];
  return [
    ...againstHeld("as each comes", lmdb),
    ...againstHeld("lmdb with its cache", lmdbCached),
    {
      title: `get ${label}, not held`,
      contenders: {
        quiver: now(keys, (key) => cold.getSync(key)),
        fs: now(keys, (key) => files.get(key)),
        lmdb: now(keys, (key) => lmdb.get(key)),
      },
      check: () =>
        same(
          (key) => files.get(key),
          (key) => cold.getSync(key),
          (key) => lmdb.get(key),
        ),
    },
    {
      title: `await get ${label}, not held`,
      contenders: {
        quiver: awaited(keys, (key) => cold.get(key)),
        fs: awaited(keys, fromFile),
        lmdb: awaited(keys, (key) => lmdb.get(key)),
      },
      check: () =>
        same(
          fromFile,
          (key) => cold.get(key),
          (key) => lmdb.get(key),
        ),
    },
    ...(label === "1 KB"
      ? [
          {
            title: "get of a missing key",
            contenders: {
              quiver: now(missing, (key) => hot.getSync(key)),
              fs: now(missing, (key) => files.has(key)),
              lmdb: now(missing, (key) => lmdb.get(key)),
            },
            check: () => {
              for (const key of missing) {
                strictEqual(hot.getSync(key), undefined);
                strictEqual(files.has(key), false);
                strictEqual(lmdb.get(key), undefined);
              }
            },
          },
        ]
      : []),
  ];
}

/** One read of every key. */
export function now(keys: readonly string[], get: Get): Contender {
  return {
    operations: keys.length,
    run: () => {
      for (const key of keys) get(key);
    },
  };
}

/** The same, each awaited before the next. */
export function awaited(keys: readonly string[], get: Get): Contender {
  return {
    operations: keys.length,
    run: async () => {
      for (const key of keys) await get(key);
    },
  };
}
