import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HotNamespace, HotTier } from "../../src/cache/hot.ts";
import { Cache, MemoryStore, Tensor } from "../../src/index.ts";
import { setClockForTests } from "../../src/shared/clock.ts";
import type { StoredValue } from "../../src/stores/store.ts";

let time = 1_000_000_000_000;
let restoreClock: () => void;
beforeEach(() => {
  restoreClock = setClockForTests(() => time);
});
afterEach(() => restoreClock());

/** A tier over stamps that the test writes itself. */
function tierOf(limit: number) {
  const coherence = { stamps: new Uint32Array(64), heat: new Uint32Array(64), epochSlot: 63 };
  const tier = new HotTier(limit);
  const hot = new HotNamespace(tier, coherence);
  const hold = (key: string, slot: number, facts: Partial<StoredValue> = {}, weight = 100) => {
    const stored: StoredValue = {
      bytes: new Uint8Array(1),
      codec: "json",
      createdAt: time,
      expiresAt: null,
      mapped: false,
      slot,
      stamp: coherence.stamps[slot] ?? 0,
      ...facts,
    };
    hot.hold(key, { value: { key }, stored, epoch: hot.epoch(), memory: [], weight });
  };
  return { tier, hot, hold, ...coherence };
}

describe("a held value", () => {
  test("is served while nothing changed, and counted in heat", () => {
    const { hot, hold, heat } = tierOf(100_000);
    hold("a", 5);
    expect(hot.find("a")?.value).toBe(hot.find("a")?.value);
    expect(heat[5]).toBe(2);
  });

  test("is dropped when its stamp or the epoch changes", () => {
    const { hot, hold, stamps, tier } = tierOf(100_000);
    hold("a", 5);
    stamps[5] = 7;
    expect(hot.find("a")).toBeUndefined();
    stamps[5] = 0;
    expect(hot.find("a"), "a dropped value does not come back").toBeUndefined();
    hold("a", 5);
    stamps[63] = 1;
    expect(hot.find("a")).toBeUndefined();
    expect(tier.weight).toBe(0);
  });

  test("is not served from its expiry on, nor when the clock was set back far before its creation", () => {
    const { hot, hold } = tierOf(100_000);
    const start = time;
    hold("a", 5, { expiresAt: start + 1000 });
    time = start + 999;
    expect(hot.find("a")).toBeDefined();
    time = start + 1000;
    expect(hot.find("a")).toBeUndefined();
    time = start;
    hold("a", 5, { expiresAt: start + 1000 });
    time = start - 60_001;
    expect(hot.find("a")).toBeUndefined();
    time = start;
  });

  test("is not held when no slot tells about it", () => {
    const { hot, hold } = tierOf(100_000);
    hold("a", 0xffff_ffff);
    expect(hot.find("a")).toBeUndefined();
  });

  test("is worth memory of its own when that very value was read as often as it takes", () => {
    const { hot, stamps } = tierOf(100_000);
    const stored = (slot: number): StoredValue => ({
      bytes: new Uint8Array(1),
      codec: "bin",
      createdAt: time,
      expiresAt: null,
      mapped: false,
      slot,
      stamp: stamps[slot] ?? 0,
    });
    stamps.fill(7);
    expect([hot.isWorthHolding(stored(5), 2), hot.isWorthHolding(stored(6), 3)]).toEqual([false, false]);
    expect([hot.isWorthHolding(stored(5), 2), hot.isWorthHolding(stored(6), 3)]).toEqual([true, false]);
    expect(hot.isWorthHolding(stored(6), 3)).toBe(true);
    stamps[5] = 8;
    expect(hot.isWorthHolding(stored(5), 2), "another value by now").toBe(false);
    for (let turn = 0; turn < 600; turn++) hot.isWorthHolding(stored(7), 2);
    expect(hot.isWorthHolding(stored(7), 255), "no more is counted").toBe(true);
    expect(hot.isWorthHolding(stored(0xffff_ffff), 1), "nothing tells about it").toBe(false);
  });

  test("is a miss once its memory has been transferred away", () => {
    const { hot } = tierOf(100_000);
    const bytes = new Uint8Array(16);
    const stored = {
      bytes,
      codec: "bin",
      createdAt: time,
      expiresAt: null,
      mapped: false,
      slot: 3,
      stamp: 0,
    };
    hot.hold("a", { value: bytes, stored, epoch: 0, memory: [bytes.buffer], weight: 16 });
    expect(hot.find("a")).toBeDefined();
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(hot.find("a")).toBeUndefined();
  });
});

describe("the bound", () => {
  test("evicts what was not used since the hand passed, oldest first", () => {
    // 10 entries of 100 bytes and 200 of overhead each.
    const { hot, hold, tier } = tierOf(3000);
    for (let slot = 0; slot < 10; slot++) hold(`k${slot}`, slot);
    expect(tier.weight).toBe(3000);
    hot.find("k0");
    hot.find("k2");
    hold("k10", 10);
    hold("k11", 11);
    const held = Array.from({ length: 12 }, (_, i) => `k${i}`).filter((key) => hot.find(key));
    expect(held).toEqual(["k0", "k2", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"]);
    expect(tier.weight).toBe(3000);
  });

  test("holds when everything is in use", () => {
    const { hot, hold, tier } = tierOf(3000);
    for (let slot = 0; slot < 40; slot++) {
      hold(`k${slot}`, slot);
      for (let other = 0; other <= slot; other++) hot.find(`k${other}`);
      expect(tier.weight).toBeLessThanOrEqual(3000);
    }
  });

  test("counts a replaced value once and lets go of everything on clear", () => {
    const { hot, hold, tier } = tierOf(3000);
    hold("a", 1);
    hold("a", 1);
    expect(tier.weight).toBe(300);
    hot.clear();
    expect(tier.weight).toBe(0);
    hold("b", 2);
    expect(hot.find("b")).toBeDefined();
  });

  test("does not let one large value push out everything", () => {
    const { hot, hold } = tierOf(3000);
    hold("small", 1);
    hold("large", 2, {}, 2000);
    expect(hot.find("large")).toBeUndefined();
    expect(hot.find("small")).toBeDefined();
  });
});

describe("through a cache", () => {
  test("a hit hands out the same frozen object, from the second reading on", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore() });
    const values = cache.namespace<{ list: number[] }>("values");
    await values.set("a", { list: [1] });
    const first = await values.get("a");
    expect(() => first?.list.push(2)).toThrow(TypeError);
    expect(cache.describe().held).toBe(0);
    const second = values.getSync("a");
    expect(() => second?.list.push(2)).toThrow(TypeError);
    expect(cache.describe().held).toBeGreaterThan(0);
    expect(await values.get("a")).toBe(second);
    expect(second).toEqual(first);
  });

  test("a parsed object that callers may change is one for all from the first reading on", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore(), objects: "shared" });
    const values = cache.namespace<{ list: number[] }>("values", { codec: "json" });
    await values.set("a", { list: [1] });
    const first = await values.get("a");
    first?.list.push(2);
    expect(values.getSync("a")).toBe(first);
  });

  test("objects are one for all and open where the namespace says so, Map and Date included", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore(), objects: "shared" });
    const values = cache.namespace<{ at: Date; list: number[] }>("values", { codec: "clone" });
    await values.set("a", { at: new Date(0), list: [1] });
    const first = await values.get("a");
    first?.list.push(2);
    expect(values.getSync("a")).toBe(first);
    expect(cache.describe().held).toBeGreaterThan(0);
    const own = await values.get("a", { copy: true });
    expect(own).toEqual(first);
    own?.at.setTime(1);
    own?.list.push(3);
    expect(values.getSync("a")).toEqual({ at: new Date(0), list: [1, 2] });
  });

  test("objects are each caller's own where the namespace says so", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore() });
    const values = cache.namespace<{ list: number[] }>("values", { objects: "cloned" });
    await values.set("a", { list: [1] });
    for (const read of [() => values.get("a"), () => values.getSync("a")]) {
      const mine = await read();
      mine?.list.push(2);
      expect(await read()).toEqual({ list: [1] });
    }
    const remember = cache.memoize(async (name: string) => ({ name, calls: [0] }), { namespace: "values" });
    await remember("f");
    (await remember("f")).calls.push(1);
    expect(await remember("f")).toEqual({ name: "f", calls: [0] });
  });

  test("errors that are remembered are thrown, not handed out, also where objects are shared", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore(), objects: "shared" });
    let calls = 0;
    const failing = cache.memoize(
      async () => {
        calls++;
        throw new RangeError("no");
      },
      { namespace: "values", cacheErrors: "1h" },
    );
    for (let call = 0; call < 3; call++) await expect(failing()).rejects.toThrow("no");
    expect(calls).toBe(1);
  });

  test("a remembered error is a miss to who reads its key, undefined that was stored is a hit", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore() });
    const values = cache.namespace<unknown>("values", { codec: "clone" });
    const failing = cache.memoize(() => Promise.reject(new RangeError("no")), {
      namespace: "values",
      cacheErrors: "1h",
    });
    await expect(failing()).rejects.toThrow("no");
    const { value: key = "" } = await values.keys().next();
    await values.set("nothing", undefined);
    for (const read of [(name: string) => values.get(name), (name: string) => values.getSync(name)]) {
      const before = (await values.stats()).hits;
      expect(await read(key)).toBeUndefined();
      expect((await values.stats()).hits).toBe(before);
      expect(await read("nothing")).toBeUndefined();
      expect((await values.stats()).hits).toBe(before + 1);
    }
  });

  test("set, touch, delete and clear are seen at once", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore() });
    const values = cache.namespace("values");
    await values.set("a", 1);
    await values.get("a");
    await values.set("a", 2);
    expect(await values.get("a")).toBe(2);
    await values.touch("a", { ttl: 10 });
    const start = time;
    time = start + 10;
    expect(await values.get("a")).toBeUndefined();
    time = start;
    await values.set("a", 3);
    await values.get("a");
    await values.delete("a");
    expect(values.getSync("a")).toBeUndefined();
    await values.set("a", 4);
    await values.get("a");
    await values.clear();
    expect(values.getSync("a")).toBeUndefined();
  });

  test("bytes and tensors that were handed out cannot be transferred away from the others", async () => {
    await using cache = await Cache.open(undefined, { store: new MemoryStore() });
    const values = cache.namespace("values");
    await values.set("bytes", new Uint8Array([1, 2, 3]));
    await values.set("tensor", new Tensor(new Float64Array([1, 2])), {
      codec: "npz",
      compression: "deflate",
    });
    const bytes = (await values.get("bytes")) as Uint8Array;
    const tensor = (await values.get("tensor")) as Tensor;
    for (const buffer of [bytes.buffer, tensor.data.buffer]) {
      const { port1 } = new MessageChannel();
      try {
        port1.postMessage(buffer, [buffer as ArrayBuffer]);
      } catch {
        // Newer versions of Node refuse, older ones copy.
      }
      port1.close();
    }
    expect([...((await values.get("bytes")) as Uint8Array)]).toEqual([1, 2, 3]);
    expect(((await values.get("tensor")) as Tensor).toArray()).toEqual([1, 2]);
  });
});
