import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cache, type CacheOptions, MemoryStore, QuiverError } from "../../src/index.ts";
import type { Flight, Store, StoreNamespace } from "../../src/stores/store.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const open = (options: CacheOptions = {}) =>
  Cache.open(undefined, { store: new MemoryStore(), logger: quiet, ...options });

/** A store whose namespaces are changed by `change`. */
function changed(change: (namespace: StoreNamespace) => Partial<StoreNamespace>): Store {
  const store = new MemoryStore();
  const openOf = store.open.bind(store);
  store.open = async (...args: Parameters<Store["open"]>) => {
    const namespace = await openOf(...args);
    const changes = change(namespace);
    return new Proxy(namespace, {
      get(target, name) {
        if (name in changes) return Reflect.get(changes, name);
        const member = Reflect.get(target, name) as unknown;
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  };
  return store;
}

test("callers share one computation and its very result, later ones the stored value", async () => {
  await using cache = await open();
  const values = cache.namespace<{ n: number }>("values");
  let computed = 0;
  const compute = async () => {
    await delay(5);
    return { n: ++computed };
  };
  const results = await Promise.all(Array.from({ length: 50 }, () => values.getOrCompute("a", compute)));
  expect(computed).toBe(1);
  expect(new Set(results).size).toBe(1);
  expect(await values.getOrCompute("a", compute)).toEqual({ n: 1 });
  await values.delete("a");
  expect(await values.getOrCompute("a", compute, { ttl: "1h" })).toEqual({ n: 2 });
  expect((await values.info("a"))?.expiresAt).not.toBeNull();
});

test("an error of the function reaches every caller unchanged and nothing is stored", async () => {
  await using cache = await open();
  const values = cache.namespace("values");
  const error = new RangeError("no solution");
  const fail = async () => {
    await delay(1);
    throw error;
  };
  const settled = await Promise.allSettled([values.getOrCompute("a", fail), values.getOrCompute("a", fail)]);
  for (const result of settled) expect(result).toEqual({ status: "rejected", reason: error });
  const thrown = () => {
    throw error;
  };
  await expect(values.getOrCompute("a", thrown)).rejects.toBe(error);
  expect(await values.has("a")).toBe(false);
  expect(await values.getOrCompute("a", () => 7)).toBe(7);
});

test("failures of the cache are misses and a counter", async () => {
  const broken = () => {
    throw new Error("no disk");
  };
  const store = changed(() => ({ get: broken, set: broken, flight: broken }));
  await using cache = await open({ store });
  const values = cache.namespace("values");
  expect(await values.getOrCompute("a", () => 1)).toBe(1);
  expect(await values.getOrCompute("b", () => () => "not storable")).toBeTypeOf("function");
  // get, flight and set for a; the same for b.
  expect(cache.describe().held).toBe(0);
  expect((await values.stats()).errors).toBe(6);
});

test("a caller leaves on abort or timeout; the computation goes on for the others", async () => {
  await using cache = await open();
  const values = cache.namespace<number>("values");
  let finish: (value: number) => void = () => {};
  let inner: AbortSignal | undefined;
  const compute = ({ signal }: { signal: AbortSignal }) => {
    inner = signal;
    return new Promise<number>((resolve) => {
      finish = resolve;
    });
  };
  const controller = new AbortController();
  const patient = values.getOrCompute("a", compute);
  const leaving = values.getOrCompute("a", compute, { signal: controller.signal });
  const hasty = values.getOrCompute("a", compute, { timeout: 5 });
  setTimeout(() => controller.abort(), 1);
  await expect(leaving).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  await expect(hasty).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
  expect(inner?.aborted).toBe(false);
  finish(3);
  expect(await patient).toBe(3);
  expect(await values.get("a")).toBe(3);
});

test("who leaves while another process computes has not met a failure of the cache", async () => {
  const warnings: string[] = [];
  const gaveUp = new QuiverError("ERR_QUIVER_ABORTED", "gave up");
  const store = changed(() => ({
    flight: (_key, { signal }) =>
      new Promise((_, reject) => signal?.addEventListener("abort", () => reject(gaveUp))),
  }));
  await using cache = await open({ store, logger: { ...quiet, warn: (message) => warnings.push(message) } });
  const values = cache.namespace("values");
  const controller = new AbortController();
  const left = values.getOrCompute("a", () => 1, { signal: controller.signal });
  setTimeout(() => controller.abort(), 1);
  await expect(left).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  await delay(1);
  expect(warnings).toEqual([]);
});

test("a store may copy what it is given to wait by: the signal goes with it", async () => {
  let copy: { readonly signal?: AbortSignal } | undefined;
  const store = changed(() => ({
    flight: (_key, options) => {
      copy = { ...options };
      return new Promise(() => undefined);
    },
  }));
  await using cache = await open({ store });
  const stuck = cache.namespace("values").getOrCompute("a", () => 1, { timeout: 5 });
  await expect(stuck).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
  expect(copy?.signal?.aborted).toBe(true);
});

test("the right to compute is not asked for once everybody has left", async () => {
  const claims: string[] = [];
  let found = (): void => undefined;
  const searched = new Promise<void>((resolve) => {
    found = resolve;
  });
  const store = changed((namespace) => ({
    get: async (key, options) => searched.then(() => namespace.get(key, options)),
    flight: async (key) => void claims.push(key),
  }));
  await using cache = await open({ store });
  const stuck = cache.namespace("values").getOrCompute("a", () => 1, { timeout: 5 });
  await expect(stuck).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
  found();
  await delay(5);
  expect(claims).toEqual([]);
});

test("when the last caller has left, the computation is aborted, its result is dropped and another may begin", async () => {
  await using cache = await open();
  const values = cache.namespace<number>("values");
  let finish: (value: number) => void = () => {};
  let inner: AbortSignal | undefined;
  const stuck = values.getOrCompute(
    "a",
    ({ signal }) => {
      inner = signal;
      return new Promise<number>((resolve) => {
        finish = resolve;
      });
    },
    { timeout: 5 },
  );
  await expect(stuck).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
  expect(inner?.aborted).toBe(true);
  expect(await values.getOrCompute("a", () => 2)).toBe(2);
  finish(1);
  await delay(5);
  expect(await values.get("a")).toBe(2);
  const aborted = AbortSignal.abort();
  await expect(values.getOrCompute("b", () => 1, { signal: aborted })).rejects.toMatchObject({
    code: "ERR_QUIVER_ABORTED",
  });
});

test("among processes: the holder's fence goes with the value and the right is given back", async () => {
  const log: string[] = [];
  const store = changed((namespace) => ({
    async flight(_key, { timeout }): Promise<Flight> {
      log.push(`claim ${timeout}`);
      return { fence: 17, release: () => void log.push("release") };
    },
    set: (key, value, facts) => {
      log.push(`set ${facts.fence}`);
      return namespace.set(key, value, facts);
    },
  }));
  await using cache = await open({ store });
  const values = cache.namespace("values");
  await values.getOrCompute("a", () => log.push("compute"), { waitTimeout: "1s" });
  expect(log).toEqual(["claim 1000", "compute", "set 17", "release"]);
  const error = new Error("no");
  await expect(values.getOrCompute("b", () => Promise.reject(error))).rejects.toBe(error);
  expect(log.slice(4)).toEqual(["claim 600000", "release"]);
});

test("among processes: what another one computed meanwhile is taken, and waiting in vain means computing here", async () => {
  let outcome: "computed" | "in vain" = "computed";
  const store = changed((namespace) => ({
    async flight(key): Promise<Flight | undefined> {
      if (outcome === "in vain") return undefined;
      const value = new TextEncoder().encode('"theirs"');
      const facts = { codec: "json", extension: "json", expiresAt: null };
      await namespace.set(key, { parts: [value], byteLength: value.length }, facts);
      return { fence: 1, release() {} };
    },
  }));
  await using cache = await open({ store });
  const values = cache.namespace("values");
  expect(await values.getOrCompute("a", () => "ours")).toBe("theirs");
  outcome = "in vain";
  expect(await values.getOrCompute("b", () => "ours")).toBe("ours");
});
