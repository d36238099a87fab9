import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Evictor } from "../../src/cache/evictor.ts";
import { Tally } from "../../src/cache/statistics.ts";
import { Cache, type CacheOptions, MemoryStore, type Recipe } from "../../src/index.ts";
import { fifo } from "../../src/policy/fifo.ts";
import { setClockForTests } from "../../src/shared/clock.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const open = (options: CacheOptions = {}) =>
  Cache.open(undefined, { store: new MemoryStore(), logger: quiet, ...options });

describe("eviction", () => {
  test("brings the cache under its limit unasked, in the order of the policy, with one event a batch", async () => {
    let time = 1_000_000_000_000;
    const restore = setClockForTests(() => time);
    await using cache = await open({ maxEntries: 100, eviction: "fifo" });
    const batches: { count: number; keys: string[] }[] = [];
    const evicted = new Promise<void>((resolve) => {
      cache.on("evict", ({ count, sample, namespace }) => {
        expect(namespace).toBeUndefined();
        batches.push({ count, keys: sample.map(({ key }) => key) });
        resolve();
      });
    });
    const values = cache.namespace("values");
    await values.set("pinned", 0, { pinned: true });
    await values.set("precious", 0, { priority: 1 });
    for (let index = 0; index < 89; index++) {
      time++;
      await values.set(`k${index}`, index);
    }
    await evicted;
    expect(batches).toEqual([{ count: 6, keys: ["k0", "k1", "k2", "k3", "k4", "k5"] }]);
    expect((await cache.stats()).evictions).toBe(6);
    restore();
  });

  test("a namespace has limits of its own, and a policy of the user's", async () => {
    const largest = {
      name: "largest",
      score(columns: { length: number; size: Float64Array }, _now: number, out: Float64Array) {
        for (let row = 0; row < columns.length; row++) out[row] = -(columns.size[row] as number);
      },
    };
    await using cache = await open({ namespaces: { small: { maxEntries: 10, eviction: largest } } });
    const small = cache.namespace("small");
    const other = cache.namespace("other");
    await other.setMany(Array.from({ length: 20 }, (_, index) => [`o${index}`, 1] as const));
    await small.set("large", new Uint8Array(5000));
    await small.setMany(Array.from({ length: 9 }, (_, index) => [`s${index}`, 1] as const));
    const report = await cache.evict();
    expect(report.evicted).toBe(1);
    expect(await small.has("large")).toBe(false);
    const stats = await cache.stats();
    expect(stats.namespaces["small"]).toMatchObject({ entries: 9, evictions: 1 });
    expect(stats.namespaces["other"]).toMatchObject({ entries: 20, evictions: 0 });
  });

  test("what has expired goes first and is counted as expired", async () => {
    let time = 1_000_000_000_000;
    const restore = setClockForTests(() => time);
    await using cache = await open({ maxEntries: 10 });
    const expired: unknown[] = [];
    cache.on("expire", (event) => void expired.push(event));
    const values = cache.namespace("values");
    await values.setMany(
      Array.from({ length: 5 }, (_, index) => [`short${index}`, 1] as const),
      { ttl: 10 },
    );
    await values.setMany(Array.from({ length: 4 }, (_, index) => [`long${index}`, 1] as const));
    time += 10;
    expect(await cache.evict()).toEqual({ evicted: 0, bytes: 0, expired: 5 });
    expect(expired).toEqual([{ namespace: "values", count: 5 }]);
    expect((await values.stats()).expired).toBe(5);
    restore();
  });

  test("a policy that throws is reported and evicts nothing", async () => {
    const broken = {
      name: "broken",
      score() {
        throw new Error("bug");
      },
    };
    await using cache = await open({ maxEntries: 2, eviction: broken });
    const values = cache.namespace("values");
    await values.setMany([1, 2, 3, 4].map((n) => [`k${n}`, n] as const));
    await expect(cache.evict()).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
    expect((await values.stats()).entries).toBe(4);
  });

  test("candidates are scored at most 16,384 in one turn of the event loop", async () => {
    const store = new MemoryStore();
    const namespace = await store.open("values", { maxEntries: 100 });
    const facts = { codec: "bin", extension: "dat", expiresAt: null };
    for (let index = 0; index < 40_000; index++)
      await namespace.set(`k${index}`, { parts: [], byteLength: 0 }, facts);
    const turns: number[] = [];
    let current = 0;
    const policy = {
      ...fifo,
      score: (...args: Parameters<typeof fifo.score>) => {
        turns.push(current);
        expect(args[0].length).toBeLessThanOrEqual(16_384);
        fifo.score(...args);
      },
    };
    const evictor = new Evictor({
      stores: [store],
      limits: { maxSize: null, maxEntries: null },
      policy,
      threshold: 0.9,
      targets: () => [{ namespace, policy }],
      enabled: true,
      onEvict: () => {},
      onExpire: () => {},
      onError: () => {},
    });
    let counting = true;
    const count = async () => {
      for (; counting; current++) await turn();
    };
    const counter = count();
    const report = await evictor.run();
    counting = false;
    await counter;
    await evictor.stop();
    expect(report.evicted).toBe(40_000 - 85);
    expect(turns).toHaveLength(3);
    expect(new Set(turns).size).toBe(3);
  });
});

describe("events and statistics", () => {
  test("each tells what happened", async () => {
    await using cache = await open();
    const seen: string[] = [];
    for (const name of ["hit", "miss", "set", "delete"] as const) {
      cache.on(name, ({ namespace, key }) => void seen.push(`${name} ${namespace}/${key}`));
    }
    const values = cache.namespace("v");
    await values.get("a");
    await values.set("a", 1);
    await values.get("a");
    await values.get("a");
    values.getSync("a");
    await values.delete("a");
    await values.delete("a");
    expect(seen).toEqual(["miss v/a", "set v/a", "hit v/a", "hit v/a", "hit v/a", "delete v/a"]);
    const listener = () => void seen.push("again");
    const remove = cache.on("hit", listener);
    remove();
    await values.getOrCompute("a", () => 1);
    expect(seen.slice(6)).toEqual(["miss v/a", "set v/a"]);
  });

  test("add up over namespaces", async () => {
    await using cache = await open();
    const [a, b] = [cache.namespace("a"), cache.namespace("b")];
    await a.set("x", "12345");
    await a.get("x");
    await a.get("y");
    await b.set("z", "1");
    await b.get("z");
    await b.get("z");
    const stats = await cache.stats();
    expect(stats).toMatchObject({
      entries: 2,
      bytes: 6,
      hits: 3,
      misses: 1,
      hitRate: 0.75,
      sets: 2,
      errors: 0,
    });
    expect(stats.namespaces["a"]).toMatchObject({ entries: 1, hits: 1, misses: 1, hitRate: 0.5 });
    expect(stats.allocated).toBe((await a.stats()).allocated + (await b.stats()).allocated);
    expect(stats.oldestAccess).toBeLessThanOrEqual(stats.newestAccess as number);
    await using empty = await open();
    expect(await empty.stats()).toMatchObject({ entries: 0, hitRate: 0, oldestAccess: null });
  });

  test("counts go to the keeper once, and come back with what other processes counted", async () => {
    const kept = { hits: 0, misses: 5, sets: 0, deletes: 0, evictions: 0, expired: 0, errors: 0 };
    const statistics = {
      read: () => ({ ...kept }),
      add: (_namespace: string, counts: typeof kept) => {
        kept.hits += counts.hits;
        kept.misses += counts.misses;
      },
    };
    const tally = new Tally(statistics);
    tally.of("a").hits += 2;
    expect(tally.read("a")).toMatchObject({ hits: 2, misses: 5 });
    tally.flush();
    tally.flush();
    tally.of("a").misses++;
    expect(tally.read("a")).toMatchObject({ hits: 2, misses: 6 });
    const store = Object.assign(new MemoryStore(), { statistics });
    const cache = await open({ store });
    await cache.namespace("a").get("x");
    await cache.close();
    expect(kept.misses).toBe(6);
  });

  test("a listener that throws does not fail the operation", async () => {
    await using cache = await open();
    cache.on("set", () => {
      throw new Error("listener");
    });
    expect(await cache.namespace("v").set("a", 1)).toMatchObject({ key: "a" });
  });
});

describe("warming", () => {
  const recipe = (compute: Recipe["compute"]): Recipe => ({
    namespace: "kernels",
    key: "kernel_{alpha}_{h}_{n}",
    parameters: { alpha: [0.5, 1.5], h: 0.01, n: [10, 20] },
    compute,
  });

  test("computes every missing combination once, and only that", async () => {
    await using cache = await open();
    const kernels = cache.namespace("kernels");
    await kernels.set("kernel_0.5_0.01_10", "there");
    const seen: unknown[] = [];
    const progress: number[] = [];
    const recipes = [
      recipe((parameters) => {
        seen.push(parameters);
        return Object.values(parameters);
      }),
    ];
    expect(await cache.warm(recipes, { dryRun: true })).toMatchObject({
      computed: 0,
      present: 1,
      missing: [{ key: "kernel_0.5_0.01_20" }, { key: "kernel_1.5_0.01_10" }, { key: "kernel_1.5_0.01_20" }],
    });
    expect(seen).toEqual([]);
    const options = {
      concurrency: 1,
      onProgress: ({ done, total }: { done: number; total: number }) => void progress.push(done / total),
    };
    expect(await cache.warm(recipes, options)).toEqual({
      computed: 3,
      present: 1,
      failed: 0,
      failures: [],
      missing: [],
    });
    expect(progress).toEqual([0.25, 0.5, 0.75, 1]);
    expect(seen).toHaveLength(3);
    expect(await kernels.get("kernel_1.5_0.01_20")).toEqual([1.5, 0.01, 20]);
    expect(await cache.warm(recipes)).toMatchObject({ computed: 0, present: 4 });
  });

  test("reports what fails, be it to compute or to store, and goes on", async () => {
    await using cache = await open();
    const error = new Error("diverges");
    const recipes = [
      recipe(({ alpha, n }) => {
        if (n === 10) throw error;
        return alpha === 0.5 ? () => "not storable" : 1;
      }),
    ];
    const report = await cache.warm(recipes);
    expect(report).toMatchObject({ computed: 1, failed: 3 });
    expect(report.failures.filter((failure) => failure.error === error)).toHaveLength(2);
    const unstorable = report.failures.find(({ key }) => key === "kernel_0.5_0.01_20");
    expect(unstorable?.error).toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
  });

  test("runs so many at a time, stops when aborted and takes up where it stopped", async () => {
    await using cache = await open();
    const controller = new AbortController();
    let [running, most, computed] = [0, 0, 0];
    const recipes: Recipe[] = [
      {
        namespace: "v",
        key: "k{n}",
        parameters: { n: Array.from({ length: 30 }, (_, index) => index) },
        compute: async () => {
          most = Math.max(most, ++running);
          await delay(1);
          running--;
          if (++computed === 10) controller.abort();
          return 1;
        },
      },
    ];
    const warming = cache.warm(recipes, { concurrency: 3, signal: controller.signal });
    await expect(warming).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
    expect(most).toBe(3);
    const kept = (await cache.namespace("v").stats()).entries;
    expect(kept).toBeGreaterThanOrEqual(7);
    expect(kept).toBeLessThan(30);
    expect(await cache.warm(recipes)).toMatchObject({ computed: 30 - kept, present: kept });
  });

  test.each([
    [{ key: "k", parameters: { n: [1, 2] } }, "{n}"],
    [{ key: "k{m}", parameters: { n: 1 } }, "{m}"],
    [{ key: "k{n}", parameters: { n: [1, "1"] } }, "twice"],
    [{ key: "k", compute: 3 }, "compute"],
  ])("%j is refused before anything is computed", async (fields, message) => {
    await using cache = await open();
    let computed = 0;
    const good = recipe(() => ++computed);
    const bad = { namespace: "v", compute: () => ++computed, ...fields } as unknown as Recipe;
    await expect(cache.warm([good, bad])).rejects.toMatchObject({
      code: "ERR_QUIVER_BAD_OPTION",
      message: expect.stringContaining(message),
    });
    expect(computed).toBe(0);
  });
});

describe("across namespaces", () => {
  const filled = async () => {
    const cache = await open();
    for (const name of ["a", "b"]) {
      await cache.namespace(name).set("x1", 1, { tags: ["red"] });
      await cache.namespace(name).set("x2", 2);
      await cache.namespace(name).set("y", 3, { tags: ["red", "blue"] });
    }
    return cache;
  };

  test.each([
    [{ namespace: "a" }, 3],
    [{ namespace: "missing" }, 0],
    [{ prefix: "x" }, 4],
    [{ prefix: "x", namespace: "b" }, 2],
    [{ tag: "red" }, 4],
    [{ tag: "blue", namespace: "a" }, 1],
    [{ key: "y" }, 2],
  ])("invalidate(%j) removes what it names", async (selection, count) => {
    await using cache = await filled();
    expect(await cache.invalidate(selection)).toBe(count);
    expect((await cache.stats()).entries).toBe(6 - count);
    expect((await cache.stats()).deletes).toBe(count);
  });

  test.each([{}, { tag: "a", key: "b" }])("invalidate(%j) is refused", async (selection) => {
    await using cache = await filled();
    await expect(cache.invalidate(selection)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
  });

  test("clear says how many entries each had", async () => {
    await using cache = await filled();
    expect(await cache.clear()).toEqual({ a: 3, b: 3 });
    expect((await cache.stats()).entries).toBe(0);
  });

  test("verify finds what does not decode, and repair removes it", async () => {
    const store = new MemoryStore();
    await using cache = await open({ store });
    await cache.namespace("a").set("good", { x: 1 });
    const broken = async function* () {
      yield new TextEncoder().encode("{");
    };
    await cache.namespace("a").set("bad", broken(), { codec: "json" });
    const found = await cache.verify();
    expect(found).toMatchObject({ checked: 2, repaired: 0, damaged: [{ namespace: "a", key: "bad" }] });
    expect(await cache.verify({ repair: true })).toMatchObject({ repaired: 1 });
    expect(await cache.verify()).toEqual({ checked: 1, damaged: [], repaired: 0 });
  });

  test("namespaces keep their options", async () => {
    const store = new MemoryStore();
    await using cache = await open({ store, namespaces: { a: { versions: 2 } } });
    expect(cache.namespace("a")).toBe(cache.namespace("a"));
    expect(cache.namespace("a").settings).toMatchObject({ versions: 2, eviction: "lru" });
    const differ = expect.objectContaining({ code: "ERR_QUIVER_SETTINGS_DIFFER" });
    expect(() => cache.namespace("a", { versions: 3 })).toThrow(differ);
    await expect(open({ store, namespaces: { a: { versions: 3 } } })).rejects.toThrow(differ);
    await open({ store, namespaces: { a: { versions: 3 } }, reconfigure: true });
    expect(cache.namespace("a").settings).toMatchObject({ versions: 3 });
    expect(() => cache.namespace("../up")).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_NAMESPACE" }),
    );
  });

  test("routes send entries to their stores", async () => {
    const [small, own] = [new MemoryStore({ name: "small" }), new MemoryStore({ name: "own" })];
    await using cache = await open({
      routes: [{ maxBytes: 10, store: small }],
      namespaces: { mine: { store: own } },
    });
    await cache.namespace("any").set("s", "tiny");
    await cache.namespace("any").set("l", "x".repeat(100));
    await cache.namespace("mine").set("m", "tiny");
    expect([small.usage().entries, own.usage().entries]).toEqual([1, 1]);
    expect(await cache.namespace("any").getMany(["s", "l"])).toEqual(["tiny", "x".repeat(100)]);
    expect(cache.describe().stores.map(({ name, entries }) => [name, entries])).toEqual([
      ["own", 1],
      ["small", 1],
      ["memory", 1],
    ]);
  });
});
