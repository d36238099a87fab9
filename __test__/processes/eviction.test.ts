/** Limits under sustained writes from several processes, and who leaves first. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cache, type EvictionOption, type EvictionPolicy } from "../../src/index.ts";
import { Programs, torture } from "./harness.ts";
import type { UsesInput } from "./programs/uses.ts";
import { checkValue, makeValue } from "./values.ts";

const MEBIBYTE = 1024 * 1024;
const LIMIT = 24 * MEBIBYTE;
const SAMPLES = torture ? 1_000 : 60;

const folder = mkdtempSync(join(tmpdir(), "quiver-eviction-"));
let root: string;
let number = 0;
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

beforeEach(() => {
  root = join(folder, String(number++));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("four processes writing into a full cache", () => {
  test("stay within its limit, and lose nothing that is pinned", async () => {
    await using cache = await Cache.open(root, { maxSize: LIMIT, durability: "process" });
    const values = cache.namespace<Uint8Array>("values");
    await values.has("k");
    const processes = Array.from({ length: 4 }, (_, index) =>
      programs.start("fill", { root, number: index, seed: index, pinEvery: 20, pins: 20 }),
    );
    await Promise.all(processes.map((one) => one.message("ready")));
    let highest = 0;
    for (let sample = 0; sample < SAMPLES; sample++) {
      await pause(50);
      const { allocated } = cache.describe().stores[0] as { allocated: number };
      highest = Math.max(highest, allocated);
      expect(allocated).toBeLessThanOrEqual(LIMIT * 1.1);
    }
    for (const one of processes) one.send({ kind: "stop" });
    const reports = await Promise.all(processes.map((one) => one.message("written")));
    for (const one of processes) expect(await one.ended, one.errors).toEqual({ code: 0, signal: null });

    const written = reports.reduce((sum, report) => sum + Number(report["written"]), 0);
    const pinned = reports.flatMap((report) => report["pinned"] as string[]);
    expect(pinned.length).toBeGreaterThan(0);
    for (const key of pinned) expect(checkValue(key, (await values.get(key)) as Uint8Array)).toBe(1);
    const { entries, evictions } = await values.stats();
    expect(entries).toBeLessThan(written);
    expect(evictions).toBe(written - entries);
    console.log(
      `${written} entries written, ${entries} kept, ${(highest / MEBIBYTE).toFixed(1)} MiB at most`,
    );
  });
});

describe("four processes using entries", () => {
  const KEYS = 400;
  const DURATION = torture ? 60_000 : 6_000;
  /** Uses are noted once a second, later on a machine that has much else to do. */
  const RESOLUTION = 2_000;

  test("leave the half that all of them together used last", async () => {
    {
      await using cache = await Cache.open(root, { durability: "process" });
      const values = cache.namespace<Uint8Array>("values");
      const keys = Array.from({ length: KEYS }, (_, index) => `k${index}`);
      await Promise.all(keys.map((key) => values.set(key, makeValue(key, 0, 500))));
    }
    const lastUses = new Map<string, number>();
    const processes = Array.from({ length: 4 }, (_, seed) =>
      programs.start("uses", { root, seed, keys: KEYS, duration: DURATION } satisfies UsesInput),
    );
    for (const one of processes) {
      const { lastUses: own } = (await one.message("done")) as unknown as {
        lastUses: Record<string, number>;
      };
      for (const [key, time] of Object.entries(own)) {
        lastUses.set(key, Math.max(time, lastUses.get(key) ?? 0));
      }
      expect(await one.ended, one.errors).toEqual({ code: 0, signal: null });
    }
    const maxEntries = KEYS / 2;
    await using cache = await Cache.open(root, { maxEntries, evictionThreshold: 1, reconfigure: true });
    await cache.evict();
    const kept = new Set<string>();
    for await (const key of cache.namespace("values").keys()) kept.add(key);
    expect(kept.size).toBeGreaterThan(0);
    expect(kept.size).toBeLessThanOrEqual(maxEntries);
    const used = [...lastUses];
    const oldestKept = Math.min(...used.filter(([key]) => kept.has(key)).map(([, time]) => time));
    const newestGone = Math.max(...used.filter(([key]) => !kept.has(key)).map(([, time]) => time));
    expect(newestGone - oldestKept).toBeLessThanOrEqual(RESOLUTION);
    console.log(
      `${kept.size} of ${KEYS} kept, out of order by ${Math.max(0, newestGone - oldestKept)} ms at most`,
    );
  });
});

/** Largest leave first. */
const largest: EvictionPolicy = {
  name: "largest",
  score(columns, _now, out) {
    for (let row = 0; row < columns.length; row++) out[row] = -(columns.size[row] as number);
  },
};

describe("what leaves first", () => {
  /** Ten entries k0 to k9, each larger than the one before; some of them are read, then half of all has to leave. */
  async function survivors(
    eviction: EvictionOption,
    use: (cache: Cache) => Promise<void>,
  ): Promise<string[]> {
    const step = () => pause(3);
    await using cache = await Cache.open(root, { memoryLimit: 0, durability: "process" });
    const values = cache.namespace<Uint8Array>("values", { files: "always" });
    for (let index = 0; index < 10; index++) {
      await values.set(`k${index}`, new Uint8Array((index + 1) * 8_192), { pinned: index === 5 });
      await step();
    }
    await use(cache);
    await cache.close();
    await using limited = await Cache.open(root, {
      maxEntries: 7,
      eviction,
      evictionThreshold: 0.8,
      reconfigure: true,
    });
    await limited.evict();
    const keys: string[] = [];
    for await (const key of limited.namespace("values").keys()) keys.push(key);
    return keys;
  }

  /** Reads keys, one after the other. */
  function reads(...keys: number[]): (cache: Cache) => Promise<void> {
    return async (cache) => {
      for (const key of keys) {
        await cache.namespace("values").get(`k${key}`);
        await pause(3);
      }
    };
  }

  test("lru: what was read longest ago", async () => {
    expect(await survivors("lru", reads(1, 0))).toEqual(["k0", "k1", "k5", "k7", "k8", "k9"]);
  });

  test("fifo: what was written first, however often it was read", async () => {
    expect(await survivors("fifo", reads(1, 0, 1, 0))).toEqual(["k4", "k5", "k6", "k7", "k8", "k9"]);
  });

  test("lfu: what was read least often", async () => {
    expect(await survivors("lfu", reads(0, 0, 0, 2, 2, 3))).toEqual(["k0", "k2", "k3", "k5", "k8", "k9"]);
  });

  test("sieve: what was not read, oldest first", async () => {
    expect(await survivors("sieve", reads(0, 3))).toEqual(["k0", "k3", "k5", "k7", "k8", "k9"]);
  });

  test("a policy of one's own: here the largest", async () => {
    expect(await survivors(largest, reads(9, 8))).toEqual(["k0", "k1", "k2", "k3", "k4", "k5"]);
  });
});
