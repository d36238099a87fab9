/** With `onError: "miss"` nothing of what may happen to a cache reaches the program. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Cache, type CacheOptions, type PathLease } from "../../src/index.ts";
import { setClockForTests } from "../../src/testing/index.ts";
import { canRun, isRoot, newFolder, run } from "./bench.ts";
import { type Fault, FaultyStore } from "./faulty-store.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
/** Long enough for memory to answer, short enough to wait for. */
const BUDGET = 20;

const open = (store: FaultyStore, options: CacheOptions = {}) =>
  Cache.open(undefined, { store, logger: quiet, onError: "miss", budget: BUDGET, ...options });

const faults = fc.constantFrom<Fault>("none", "throw", "reject", "hang");
const calls = fc.record({ input: fc.nat(3), fails: fc.boolean() });

test("a memoised function gives its own results and errors, whatever becomes of the store", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(faults, { maxLength: 40 }), fc.array(calls), async (plan, program) => {
      const store = new FaultyStore();
      store.fault = () => plan.pop() ?? "none";
      const cache = await open(store);
      const own = new RangeError("no solution");
      const square = cache.memoize(
        async (input: number, fails: boolean) => {
          if (fails) throw own;
          return { square: input * input };
        },
        { namespace: "squares", ttl: "1h", waitTimeout: BUDGET },
      );
      await Promise.all(
        program.map(async ({ input, fails }) => {
          if (fails) await expect(square(input, fails)).rejects.toBe(own);
          else expect(await square(input, fails)).toEqual({ square: input * input });
        }),
      );
      await cache.close();
    }),
    { numRuns: 60 },
  );
});

test("every other call acts as if nothing were stored", async () => {
  for (const fault of ["throw", "reject", "hang"] as const) {
    const store = new FaultyStore();
    await using cache = await open(store);
    const values = cache.namespace("values");
    await values.set("a", 1);
    store.fault = () => fault;
    expect(await values.get("b")).toBeUndefined();
    expect(values.getSync("b")).toBeUndefined();
    expect(await values.has("b")).toBe(false);
    expect(await values.set("b", 1)).toMatchObject({ key: "b", size: 0 });
    expect(await values.delete("b")).toBe(false);
    expect(await values.info("a")).toBeUndefined();
    expect(await values.touch("a", { priority: 1 })).toBeUndefined();
    expect(await values.pin("a")).toBe(false);
    expect(await values.getMany(["b", "c"])).toEqual([undefined, undefined]);
    expect((await values.keys().next()).done).toBe(true);
    expect(await values.clear()).toBe(0);
    expect(await cache.invalidate({ namespace: "values" })).toBe(0);
    expect((await cache.metrics()).namespaces["values"]?.errors).toBeGreaterThan(5);
    store.fault = () => "none";
    store.wake();
  }
});

test("a store that hangs costs one budget, then nothing until it is tried again", async () => {
  const store = new FaultyStore();
  await using cache = await open(store, { budget: 100 });
  const values = cache.namespace("values");
  await values.set("a", 1);
  store.fault = () => "hang";
  expect(await values.get("b")).toBeUndefined();
  const tried = store.calls.length;
  expect(await values.getOrCompute("b", () => 2)).toBe(2);
  expect(await values.get("c")).toBeUndefined();
  expect(store.calls.length, "nobody asks while it hangs").toBe(tried);
  store.fault = () => "none";
  store.wake();
  await delay(1);
  expect(await values.get("a"), "it is believed as soon as it answers").toBe(1);
});

test("a lease that comes after its budget is released", async () => {
  const store = new FaultyStore();
  const opening = store.open.bind(store);
  const release = vi.fn();
  const path = async (): Promise<PathLease> => {
    await delay(2 * BUDGET);
    return { path: "/late", release, [Symbol.dispose]: release };
  };
  store.open = async (...given) => Object.assign(await opening(...given), { path });
  await using cache = await open(store);
  expect(await cache.namespace("files").path("k")).toBeUndefined();
  await expect.poll(() => release.mock.calls.length, { timeout: 30_000 }).toBe(1);
});

test("failures are warned of once a minute a cause, and all are counted", async () => {
  const written: string[] = [];
  const { consoleLogger } = await import("../../src/shared/logger.ts");
  const logger = consoleLogger({ write: (line) => void written.push(line) });
  const store = new FaultyStore();
  await using cache = await open(store, { logger });
  const stages = ["parse", "solve"].map((namespace) => cache.memoize((n: number) => n, { namespace }));
  await Promise.all(stages.map((stage) => stage(0)));
  store.fault = () => "reject";
  for (let input = 1; input <= 100; input++) for (const stage of stages) await stage(input);
  expect(written.filter((line) => line.includes("on fire"))).toHaveLength(1);
  expect((await cache.metrics()).errors["error"]).toBeGreaterThanOrEqual(400);
});

test("after close memoised functions compute", async () => {
  const cache = await open(new FaultyStore());
  const double = cache.memoize((n: number) => 2 * n, { namespace: "doubles" });
  expect(await double(1)).toBe(2);
  await cache.close();
  expect(await double(1)).toBe(2);
  expect(await double.refresh(4)).toBe(8);
});

test("a place where no cache can be is tried again, and used once it can", async () => {
  const root = join(newFolder(), "cache");
  writeFileSync(root, "a file where the folder should be");
  let time = Date.now();
  const restore = setClockForTests(() => time);
  try {
    await using cache = await Cache.open(root, { onError: "miss", logger: quiet });
    let computed = 0;
    const stage = cache.memoize((n: number) => ++computed + n, { namespace: "stage" });
    expect([await stage(10), await stage(10)]).toEqual([11, 12]);
    rmSync(root);
    mkdirSync(root);
    expect(await stage(10), "not tried yet").toBe(13);
    time += 60_000;
    expect([await stage(10), await stage(10)]).toEqual([14, 14]);
  } finally {
    restore();
  }
  await using again = await Cache.open(root);
  expect((await again.namespace("stage").stats()).entries).toBe(1);
});

test.skipIf(!isRoot || !canRun("unshare", "-m", "true"))(
  "on media that nobody can write, what is there is read and nothing is written",
  async () => {
    const root = newFolder();
    const stageOf = (cache: Cache) => cache.memoize((n: number) => ({ n }), { namespace: "stage" });
    {
      await using cache = await Cache.open(root);
      await stageOf(cache)(1);
    }
    const media = newFolder();
    run("mount", "--bind", root, media);
    try {
      run("mount", "-o", "remount,bind,ro", media);
      await using cache = await Cache.open(media, { onError: "miss", logger: quiet });
      const stage = stageOf(cache);
      expect(await stage.peek(1)).toEqual({ n: 1 });
      expect(await stage(2)).toEqual({ n: 2 });
      expect(await stage.peek(2)).toBeUndefined();
      expect(await cache.namespace("stage").set("a", 1)).toMatchObject({ size: 0 });
    } finally {
      run("umount", "-l", media);
    }
  },
);
