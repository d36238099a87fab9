import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import ts from "typescript";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Cache, type CacheOptions, cacheKey, MemoryStore, memoized, Tensor } from "../../src/index.ts";
import { setClockForTests } from "../../src/shared/clock.ts";

const warnings: string[] = [];
const logger = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message), error() {} };
const open = (options: CacheOptions = {}) =>
  Cache.open(undefined, { store: new MemoryStore(), logger, ...options });

let time: number;
let restoreClock: () => void;

beforeEach(() => {
  warnings.length = 0;
  time = Date.now();
  restoreClock = setClockForTests(() => time);
});

afterEach(() => restoreClock());

/** A function that counts its calls and returns their number, or throws what `failing` holds. */
function counter() {
  const state = { calls: 0, failing: undefined as unknown };
  const fn = async (..._inputs: unknown[]): Promise<number> => {
    state.calls++;
    if (state.failing !== undefined) throw state.failing;
    return state.calls;
  };
  return { state, fn };
}

/** Lets work in the background come to its end. */
const settle = () => delay(5);

test("equal arguments are computed once, under the key that cacheKey gives", async () => {
  await using cache = await open();
  const { state, fn } = counter();
  const enrich = cache.memoize(fn, { namespace: "enrichment", version: "2" });
  expect(await enrich("text")).toBe(1);
  expect(await enrich("text")).toBe(1);
  expect(await enrich("other")).toBe(2);
  expect(await enrich({ a: 1, b: 2 }, new Set([1]))).toBe(3);
  expect(await enrich({ b: 2, a: 1 }, new Set([1]))).toBe(3);
  expect(state.calls).toBe(3);
  const key = cacheKey("enrichment", "text", { version: "2" });
  expect(enrich.key("text")).toBe(key);
  expect(await cache.namespace("enrichment").get(key)).toBe(1);
  expect(enrich.name).toBe("fn");
});

test("sync functions, a key of one's own, peek, refresh and invalidation", async () => {
  await using cache = await open();
  let calls = 0;
  const square = cache.memoize((n: number, _note?: string) => n * n + calls++ * 0, {
    namespace: "squares",
    key: (n) => n,
  });
  expect(await square.peek(3)).toBeUndefined();
  expect(await square(3, "a")).toBe(9);
  expect(await square(3, "b")).toBe(9);
  expect(await square.peek(3)).toBe(9);
  expect(calls).toBe(1);
  expect(await square.refresh(3)).toBe(9);
  expect(calls).toBe(2);
  expect(await square.invalidate(3)).toBe(true);
  expect(await square.invalidate(3)).toBe(false);
  await square(3);
  await square(4);
  expect(await square.invalidateAll()).toBe(2);
  expect(await square.peek(4)).toBeUndefined();
});

test("results come back as what they were", async () => {
  await using cache = await open();
  const results: unknown[] = [
    ...[undefined, null, -0, Number.NaN, 12n, "text", { a: [1, { b: null }] }, [undefined, 1]],
    ...[new Date(5), new Map([["k", new Set([1])]]), { when: new Date(7) }, Float32Array.of(1, 2)],
    ...[{ vector: Float64Array.of(3) }, { a: undefined }],
  ];
  const pick = cache.memoize((index: number) => results[index], { namespace: "results" });
  for (const [index, result] of results.entries()) {
    await pick(index);
    expect(await pick(index)).toStrictEqual(result);
  }
  const tensors = cache.memoize(() => new Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]), { namespace: "t" });
  await tensors();
  expect((await tensors()).equals(new Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]))).toBe(true);
  const bytes = cache.memoize(() => Uint8Array.of(1, 2), { namespace: "b" });
  await bytes();
  expect(await bytes()).toEqual(Uint8Array.of(1, 2));
});

test("what can't be kept is computed each time, with a warning", async () => {
  await using cache = await open();
  let calls = 0;
  const make = cache.memoize(() => ({ calls: ++calls, method() {} }), { namespace: "n" });
  expect((await make()).calls).toBe(1);
  expect((await make()).calls).toBe(2);
  expect(warnings.join()).toMatch(/no codec holds/);
});

test("callers can't change each other's Maps", async () => {
  await using cache = await open();
  const get = cache.memoize(() => new Map([["a", 1]]), { namespace: "n" });
  await get();
  (await get()).set("b", 2);
  expect((await get()).size).toBe(1);
});

test("what expired is computed again; within staleTtl it is given out once more and renewed in the background", async () => {
  await using cache = await open();
  const { state, fn } = counter();
  const stale = vi.fn();
  cache.on("stale", stale);
  const get = cache.memoize(fn, { namespace: "n", ttl: 1000, staleTtl: 500 });
  expect(await get("a")).toBe(1);
  time += 1000;
  expect(await cache.namespace("n").get(get.key("a") as string)).toBeUndefined();
  expect(await Promise.all([get("a"), get("a"), get("a")])).toEqual([1, 1, 1]);
  await settle();
  expect(state.calls).toBe(2);
  expect(stale).toHaveBeenCalledTimes(3);
  expect(await get("a")).toBe(2);
  time += 1500;
  expect(await get("a")).toBe(3);
});

test("a renewal in the background that fails is warned of, and nothing is rejected unseen", async () => {
  await using cache = await open();
  const { state, fn } = counter();
  const get = cache.memoize(fn, { namespace: "n", ttl: 1000, staleTtl: 500, cacheErrors: "1h" });
  await get("a");
  time += 1000;
  state.failing = new Error("down");
  expect(await get("a")).toBe(1);
  await settle();
  expect(warnings.join()).toMatch(/stays as it was: down/);
  expect(await get("a")).toBe(1);
});

test("refreshAhead renews what is still fresh before it expires", async () => {
  await using cache = await open();
  const { state, fn } = counter();
  const get = cache.memoize(fn, { namespace: "n", ttl: 1000, refreshAhead: 300 });
  await get("a");
  time += 699;
  await get("a");
  await settle();
  expect(state.calls).toBe(1);
  time += 1;
  expect(await Promise.all([get("a"), get("a")])).toEqual([1, 1]);
  await settle();
  expect(state.calls).toBe(2);
  expect(await get("a")).toBe(2);
  await settle();
  expect(state.calls).toBe(2);
});

test("within grace, an old value stands in when computing fails, hangs or takes too long", async () => {
  await using cache = await open();
  const { state, fn } = counter();
  const slow = { wait: 0 };
  const get = cache.memoize(
    async (input: string) => {
      await delay(slow.wait);
      return fn(input);
    },
    { namespace: "n", ttl: 1000, grace: "1m", softTimeout: 40 },
  );
  await get("a");
  time += 1000;
  state.failing = new Error("down");
  expect(await get("a")).toBe(1);
  state.failing = undefined;
  slow.wait = 120;
  expect(await get("a")).toBe(1);
  await delay(160);
  expect(state.calls).toBe(3);
  expect(await get("a")).toBe(3);
  time += 61_000;
  state.failing = new Error("down");
  await expect(get("a")).rejects.toThrow("down");
});

test("chosen errors are remembered for their time, for everybody", async () => {
  const store = new MemoryStore();
  await using cache = await open({ store });
  const { state, fn } = counter();
  const cacheErrors = (error: unknown) => ((error as { code?: string }).code === "E_NONE" ? 1000 : undefined);
  const get = cache.memoize(fn, { namespace: "n", cacheErrors });
  const error = Object.assign(new RangeError("no such thing"), { code: "E_NONE", detail: { n: 1 } });
  state.failing = error;
  await expect(get("a")).rejects.toBe(error);
  await expect(get("a")).rejects.toMatchObject({
    name: "RangeError",
    message: "no such thing",
    code: "E_NONE",
    detail: { n: 1 },
  });
  expect(state.calls).toBe(1);
  expect(await get.peek("a")).toBeUndefined();
  expect(cache.namespace("n").getSync(get.key("a") as string)).toBeUndefined();
  state.failing = new Error("other");
  await expect(get("b")).rejects.toThrow("other");
  await expect(get("b")).rejects.toThrow("other");
  expect(state.calls).toBe(3);
  state.failing = undefined;
  time += 1000;
  expect(await get("a")).toBe(4);
});

test("a caller that leaves leaves the others their computation; when the last one leaves, it is aborted", async () => {
  await using cache = await open();
  let inner: AbortSignal | undefined;
  const get = cache.memoize(
    async (_input: string, { signal }: { signal: AbortSignal }) => {
      inner = signal;
      await delay(30, undefined, { signal });
      return "done";
    },
    { namespace: "n" },
  );
  const [one, two] = [new AbortController(), new AbortController()];
  const first = get("a", { signal: one.signal });
  const second = get("a", { signal: two.signal });
  await delay(5);
  one.abort();
  await expect(first).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  expect(inner?.aborted).toBe(false);
  expect(await second).toBe("done");
  const third = get("b", { signal: two.signal });
  await delay(5);
  two.abort();
  await expect(third).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  expect(inner?.aborted).toBe(true);
  expect(get.key("a", { signal: one.signal })).toBe(cacheKey("n", "a"));
});

test("a refresh computes also while the value is there or under way, and its result stays", async () => {
  await using cache = await open();
  let result = "old";
  const get = cache.memoize(
    async (_input: string) => {
      const found = result;
      await delay(20);
      return found;
    },
    { namespace: "n" },
  );
  const first = get("a");
  await delay(5);
  result = "new";
  expect(await get.refresh("a")).toBe("new");
  expect(await first).toBe("old");
  await settle();
  expect(await get("a")).toBe("new");
});

test("jitter takes a random part off the time to live, and no more", async () => {
  await using cache = await open();
  const get = cache.memoize(async (n: number) => n, { namespace: "n", ttl: 1000, jitter: 0.5 });
  const ends = new Set<number>();
  for (let n = 0; n < 50; n++) {
    await get(n);
    const info = await cache.namespace("n").info(get.key(n) as string);
    ends.add((info?.expiresAt as number) - time);
  }
  expect(ends.size).toBeGreaterThan(10);
  expect(Math.min(...ends)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...ends)).toBeLessThanOrEqual(1000);
  const bad = cache.memoize(async () => 1, { namespace: "n", jitter: 1 });
  expect(await bad()).toBe(1);
});

test("changed dependencies are a miss: texts, files, entries", async () => {
  const folder = mkdtempSync(join(tmpdir(), "quiver-deps-"));
  try {
    await using cache = await open();
    const file = join(folder, "model.txt");
    writeFileSync(file, "one");
    let model = "a";
    const { state, fn } = counter();
    const get = cache.memoize(fn, {
      namespace: "n",
      deps: () => [model, { file }, { namespace: "inputs", key: "table" }],
    });
    await get("x");
    await get("x");
    expect(state.calls).toBe(1);
    model = "b";
    await get("x");
    expect(state.calls).toBe(2);
    writeFileSync(file, "two!");
    await get("x");
    expect(state.calls).toBe(3);
    await cache.namespace("inputs").set("table", "rows");
    await get("x");
    await get("x");
    expect(state.calls).toBe(4);
    expect(await get.key("x")).not.toBe(cacheKey("n", "x"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("methods are memoised by a decorator, with the instance at hand", async () => {
  await using cache = await open();
  const namespace = cache.namespace("methods");
  // Compiled here: the test runner leaves decorators as they are, and Node doesn't know them.
  const source = `
    export const solverOf = (memoized, namespace) => class Solver {
      calls = 0;
      constructor(order) { this.order = order; }
      @memoized(namespace, { key(n) { return [this.order, n]; } })
      async solve(n) { this.calls++; return n * this.order; }
    };`;
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  const { solverOf } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);
  const Solver = solverOf(memoized, () => namespace);
  const [two, three] = [new Solver(2), new Solver(3)];
  expect([await two.solve(5), await three.solve(5), await two.solve(5)]).toEqual([10, 15, 10]);
  expect([two.calls, three.calls]).toEqual([1, 1]);
});

test("mistakes of the caller are told, arguments without a key included", async () => {
  await using cache = await open();
  const get = cache.memoize(async (_f: unknown) => 1, { namespace: "n" });
  await expect(get(() => 1)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
  for (const options of [{ ttl: "soon" }, { staleTtl: -1 }, { hash: "md5" }, { cacheErrors: "often" }]) {
    const make = () => cache.memoize(async () => 1, { namespace: "n", ...options } as never);
    const call = async () => make()();
    if ("ttl" in options) expect(await call()).toBe(1);
    else await expect(call()).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
  }
});

test("warming computes what is missing, bounded in number, and is taken up where it was left", async () => {
  await using cache = await open();
  let running = 0;
  let most = 0;
  const computed: number[] = [];
  const square = cache.memoize(
    async (n: number) => {
      most = Math.max(most, ++running);
      await delay(1);
      running--;
      if (n === 3) throw new Error("no threes");
      computed.push(n);
      return n * n;
    },
    { namespace: "squares" },
  );
  const inputs = [0, 1, 2, 3, 4, 5, 6, 7];
  const stop = new AbortController();
  const stopped = cache.warm(inputs, square, {
    concurrency: 2,
    signal: stop.signal,
    onProgress: ({ done }) => done === 3 && stop.abort(),
  });
  await expect(stopped).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  expect(computed.length).toBeLessThan(6);
  const before = computed.length;
  const seen: unknown[] = [];
  const report = await cache.warm(inputs, square, {
    concurrency: 2,
    onProgress: ({ done, total, input }) => void seen.push([done, total, input]),
  });
  expect(report).toMatchObject({ computed: 7 - before, present: before, failed: 1 });
  expect(report.failures).toMatchObject([{ input: 3, error: { message: "no threes" } }]);
  expect(most).toBe(2);
  expect(seen).toHaveLength(8);
  expect(new Set(computed).size).toBe(computed.length);
});

test("warming takes arguments from inputs, and tells what could not be stored", async () => {
  await using cache = await open({ namespaces: { full: { maxSize: 10 } }, onError: "miss" });
  const add = cache.memoize((left: number, right: number) => left + right, { namespace: "sums" });
  const pairs = new Set([{ left: 1, right: 2 }]);
  expect(await cache.warm(pairs, add, { args: ({ left, right }) => [left, right] })).toMatchObject({
    computed: 1,
  });
  expect(await add.has(1, 2)).toBe(true);
  const long = cache.memoize((n: number) => "x".repeat(n), { namespace: "full" });
  const { failures } = await cache.warm([1000], long);
  expect(failures).toMatchObject([{ input: 1000, error: { code: "ERR_QUIVER_NOT_FOUND" } }]);
});
