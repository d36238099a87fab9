/** `Cache.open` in its form for services: where options come from, what they default to, namespaces off and observed. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareOpening } from "../../src/cache/opening.ts";
import { Cache, type PipelineOptions, Tensor } from "../../src/index.ts";
import { hasRedis, RedisServer } from "../servers/redis.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const HOUR = 3_600_000;

let path: string;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "quiver-pipeline-"));
});

afterEach(() => rmSync(path, { recursive: true, force: true }));

const open = (options: PipelineOptions = {}) => Cache.open({ path, logger, ...options });

/** The options in force with these sources. */
async function optionsWith(code: PipelineOptions, environment: Record<string, string> = {}) {
  const { options, store } = await prepareOpening({ path, logger, ...code }, {}, environment);
  await store.close();
  return options;
}

test("it keeps one file an entry for two hours in a gibibyte, and never fails the program", async () => {
  await using cache = await open();
  const values = cache.namespace("enrichment");
  await values.set("a", { text: "small" });
  expect(values.settings).toMatchObject({ layout: "hashed", files: "always" });
  const { createdAt, expiresAt } = (await values.info("a")) ?? { createdAt: 0, expiresAt: 0 };
  expect(Math.abs((expiresAt ?? 0) - createdAt - 2 * HOUR)).toBeLessThan(HOUR / 60);
  const files = readdirSync(join(path, "enrichment"), { recursive: true }).map(String);
  expect(files.filter((file) => file.endsWith(".json") && file.includes("/"))).toHaveLength(1);
  expect(await optionsWith({})).toMatchObject({
    maxSize: 1024 ** 3,
    onError: "miss",
    eviction: { name: "lru" },
  });
  await using plain = await Cache.open(path);
  expect((await plain.metrics()).limitShare, "the limit is recorded for all").toBeGreaterThan(0);
});

test("code comes before variables, variables before the file", async () => {
  writeFileSync(
    join(path, "quiver.config.json"),
    JSON.stringify({ maxSizeMb: 3, defaultTtlSeconds: 30, evictionPolicy: "fifo", backend: "memory" }),
  );
  const environment = { QUIVER_MAX_SIZE_MB: "2", QUIVER_DEFAULT_TTL_SECONDS: "20", QUIVER_BACKEND: "disk" };
  const code = { maxSizeMb: 1, backend: "memory" } as const;
  const all = await optionsWith(code, environment);
  expect(all).toMatchObject({ maxSize: 1024 ** 2, ttl: 20_000, eviction: { name: "fifo" } });
  const opening = await prepareOpening({ path, logger }, {}, environment);
  expect(opening.store.name).toBe("local");
  expect(opening.origins).toContainEqual({
    option: "ttl",
    value: 20_000,
    source: "environment",
    place: "QUIVER_DEFAULT_TTL_SECONDS",
  });
  await opening.store.close();
  const fromFile = await prepareOpening({ path, logger }, {}, {});
  expect(fromFile.store.name).toBe("memory");
  expect(fromFile.options).toMatchObject({ maxSize: 3 * 1024 ** 2, ttl: 30_000 });
});

test("QUIVER_PATH says where it is, and null means none", async () => {
  const opening = await prepareOpening({ maxSizeMb: null, logger }, {}, { QUIVER_PATH: path });
  expect(opening.path).toBe(path);
  expect(opening.options.maxSize).toBeNull();
  await opening.store.close();
  expect((await optionsWith({ backend: "memory" }, { QUIVER_DEFAULT_TTL_SECONDS: "none" })).ttl).toBeNull();
});

test.each<[object, string]>([
  [{ backend: "floppy" }, "backend"],
  [{ maxSizeMb: -1 }, "maxSizeMb"],
  [{ maxSizeMb: "much" }, "maxSizeMb"],
  [{ defaultTtlSeconds: Number.NaN }, "defaultTtlSeconds"],
  [{ evictionPolicy: "random" }, "evictionPolicy"],
  [{ path: "" }, "path"],
  [{ redisUrl: 6379 }, "redisUrl"],
  [{ maxSizeMb: 1, maxSize: "1MB" }, "maxSizeMb"],
  [{ maxSizeMB: 1 }, "maxSizeMB"],
  [{ store: undefined }, "store"],
  [{ namespaces: { stage: { observe: "now and then" } } }, "namespaces.stage.observe"],
])("%j is refused with the field named", async (options, field) => {
  await expect(open({ backend: "memory", ...options })).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_OPTION",
    message: expect.stringContaining(field),
  });
});

test("a variable that makes no sense is named", async () => {
  const opening = prepareOpening({ path, logger }, {}, { QUIVER_MAX_SIZE_MB: "1GB" });
  await expect(opening).rejects.toThrow("QUIVER_MAX_SIZE_MB");
});

test("its defaults leave a cache that is there as it is, what is given changes it", async () => {
  {
    await using cache = await Cache.open(path, { maxSize: "5GB" });
    await cache.namespace("packed").set("a", 1);
  }
  {
    await using cache = await open();
    expect(cache.explainConfig()).toContainEqual(
      expect.objectContaining({ option: "maxSize", source: "recorded" }),
    );
    expect(await cache.namespace("packed").get("a")).toBe(1);
    expect(cache.namespace("packed").settings).toMatchObject({ files: "large" });
  }
  expect((await optionsWith({})).maxSize).toBe(5 * 1024 ** 3);
  expect((await optionsWith({ maxSizeMb: 100 })).maxSize).toBe(100 * 1024 ** 2);
  expect((await optionsWith({})).maxSize).toBe(100 * 1024 ** 2);
});

test("in memory nothing is on the disk", async () => {
  await using cache = await open({ backend: "memory" });
  const twice = cache.memoize((n: number) => 2 * n, { namespace: "twice" });
  expect([await twice(2), await twice.peek(2)]).toEqual([4, 4]);
  expect(cache.path).toBeUndefined();
  expect(readdirSync(path)).toEqual([]);
});

test.skipIf(!hasRedis)("instances on different disks share results through the server", async () => {
  const server = await RedisServer.start();
  try {
    const redisUrl = `unix://${server.socketPath}`;
    await using first = await open({ backend: "tiered", redisUrl, path: join(path, "first") });
    await using second = await open({ backend: "tiered", redisUrl, path: join(path, "second") });
    await using third = await open({ backend: "redis", redisUrl });
    let computed = 0;
    const stages = [first, second, third].map((cache) =>
      cache.memoize(async (text: string) => ({ text, computed: ++computed }), { namespace: "stage" }),
    );
    for (const stage of stages) expect(await stage("a")).toEqual({ text: "a", computed: 1 });
    await server.kill();
    for (const stage of stages) expect(await stage("b")).toMatchObject({ text: "b" });
  } finally {
    await server.stop();
  }
});

test("a namespace that is off keeps nothing, the others go on", async () => {
  await using cache = await open({ namespaces: { off: { enabled: false } } });
  let computed = 0;
  const [off, on] = ["off", "on"].map((namespace) => cache.memoize(() => ++computed, { namespace }));
  expect([await off?.(), await off?.(), await on?.(), await on?.()]).toEqual([1, 2, 3, 3]);
  const { namespaceSources, store } = await prepareOpening(
    { path, logger },
    {},
    { QUIVER_NS_ON_ENABLED: "false" },
  );
  expect(namespaceSources("on")[0]?.values).toMatchObject({ enabled: "false" });
  await store.close();
});

test("an observed namespace computes at every call and counts what the cache would have given", async () => {
  await using cache = await open({ namespaces: { stage: { observe: true } } });
  const seen: boolean[] = [];
  cache.on("observe", ({ same }) => void seen.push(same));
  let weight = 1;
  let computed = 0;
  const stage = cache.memoize(
    async (n: number) => {
      computed++;
      return { embedding: new Tensor(new Float32Array([n * weight])), model: "m" };
    },
    { namespace: "stage", ttl: null },
  );
  for (const n of [1, 2, 1, 2]) expect((await stage(n)).embedding.data).toEqual(new Float32Array([n]));
  weight = 2;
  expect((await stage(1)).embedding.data).toEqual(new Float32Array([2]));
  expect((await stage(1)).embedding.data).toEqual(new Float32Array([2]));
  expect(computed).toBe(6);
  expect(seen).toEqual([true, true, false, true]);
  const { observed, hits, misses } = (await cache.metrics()).namespaces["stage"] ?? {};
  expect({ observed, hits, misses }).toEqual({ observed: { same: 3, different: 1 }, hits: 4, misses: 2 });
  await expect(
    cache.namespace("stage").getOrCompute("x", () => Promise.reject(new Error("own"))),
  ).rejects.toThrow("own");
});

test("options beside those of the form are refused instead of ignored", async () => {
  const openWithBoth = Cache.open as (options: PipelineOptions, more: object) => Promise<Cache>;
  await expect(openWithBoth({ backend: "memory" }, { maxSize: "1MB" })).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_OPTION",
  });
});
