/** Mistakes of a program in JavaScript, which no compiler has looked at: each is told, by name, where it is made. */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  Cache,
  cacheKey,
  Dataset,
  FileStore,
  fromAiSdk,
  fromFunction,
  fromLangChain,
  fromTransformers,
  hashingVectorizer,
  loadFile,
  MemoryStore,
  RedisStore,
  saveFile,
  TieredStore,
  VectorCache,
  withLimits,
} from "../../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "quiver-mistakes-"));
const cache = await Cache.open(undefined, { store: new MemoryStore() });
afterAll(() => cache.close());

/** The library as JavaScript sees it. */
// biome-ignore lint/suspicious/noExplicitAny: what is tested is what the types don't allow.
type Loose = any;
const loose: Loose = cache;
const values: Loose = cache.namespace("values");

const vectorizer = hashingVectorizer({ dimension: 8 });
const creation = { name: "c", texts: ["a"], vectorizer, root: folder };
const created = (): Promise<VectorCache> => VectorCache.create(creation);

const refused: Readonly<Record<string, readonly (readonly [call: () => unknown, named: string])[]>> = {
  "what is opened": [
    [() => Cache.open(new URL("file:///tmp/cache") as Loose), "path of a cache"],
    [() => Cache.open([] as Loose), "path of a cache"],
    [() => Cache.open("a\0b"), "path of a cache"],
    [() => Cache.open("s3://bucket/cache"), "s3://bucket/cache"],
    [() => Cache.open(folder, null as Loose), "options"],
    [() => Cache.open(folder, "10GB" as Loose), "options"],
    [() => Cache.open(folder, { store: {} } as Loose), "store"],
    [() => Cache.open(folder, { store: null } as Loose), "store"],
    [() => Cache.open(folder, { routes: {} } as Loose), "routes"],
    [() => Cache.open(folder, { routes: [{ store: new MemoryStore(), maxByte: 1 }] } as Loose), "maxByte"],
    [() => Cache.open(folder, { codecs: [{}] } as Loose), "codecs[0]"],
    [() => Cache.open(folder, { logger: { warn() {} } } as Loose), "logger"],
  ],
  "options of calls": [
    [() => values.set("a", 1, { tll: 5 }), "tll"],
    [() => values.set("a", 1, null), "options"],
    [() => values.set("a", 1, 60_000), "options"],
    [() => values.set("a", 1, { pinned: "perhaps" }), "pinned"],
    [() => values.setSync("a", 1, { tll: 5 }), "tll"],
    [() => values.get("a", { versoin: 1 }), "versoin"],
    [() => values.get("a", { copy: "deep" }), "copy"],
    [() => values.touch("a", { tag: ["x"] }), "tag"],
    [() => values.touch("a"), "options"],
    [() => values.path("a", { verified: true }), "verified"],
    [() => values.createReadStream("a", { from: 1 }), "from"],
    [() => values.keys({ prefx: "a" }).next(), "prefx"],
    [() => values.keys("a").next(), "options"],
    [() => values.entries({ prefix: 5 }).next(), "prefix"],
    [() => values.getOrCompute("a"), "compute"],
    [() => values.getOrCompute("a", () => 1, { graze: 5 }), "graze"],
    [() => values.memoize(() => 1, { vresion: "2" }), "vresion"],
    [() => values.memoize(() => 1, { signal: AbortSignal.abort() }), "signal"],
    [() => loose.memoize(() => 1), "options"],
    [() => loose.invalidate(), "selection"],
    [() => loose.invalidate({ tags: "a" }), "tags"],
    [() => loose.verify({ repiar: true }), "repiar"],
    [() => loose.verify({ signal: true }), "signal"],
    [() => values.set("a", 1, { signal: new AbortController() }), "signal"],
    [() => loose.on("hits", () => undefined), "event"],
    [() => loose.on("hit"), "listener"],
  ],
  lists: [
    [() => values.getMany("abc"), "keys"],
    [() => values.getMany(), "keys"],
    [() => values.deleteMany(5), "keys"],
    [() => values.setMany({ a: 1 }), "pairs"],
    [() => values.setMany(["ab"]), "a pair"],
    [() => loose.warm(), "recipes"],
    [() => loose.warm([5]), "recipes[0]"],
    [() => loose.warm([], { concurency: 2 }), "concurency"],
    [
      () =>
        loose.warm(
          5,
          values.memoize(() => 1),
        ),
      "inputs",
    ],
  ],
  "stores, keys and files": [
    [() => new MemoryStore({ maxsize: 1 } as Loose), "maxsize"],
    [() => FileStore.open(folder, { durable: true } as Loose), "durable"],
    [() => RedisStore.open({ host: "localhost" } as Loose), "host"],
    [() => TieredStore.open([new MemoryStore(), 5] as Loose), "tiers[1]"],
    [() => TieredStore.open(new MemoryStore() as Loose), "tiers"],
    [() => TieredStore.open([{ store: {} }, new MemoryStore()] as Loose), "tiers[0].store"],
    [() => cacheKey("a", 1, { versoin: "2" } as Loose), "versoin"],
    [() => loadFile(5 as Loose), "path"],
    [() => saveFile(join(folder, "a.json"), 1, { codek: "json" } as Loose), "codek"],
  ],
  "datasets and vector caches": [
    [() => Dataset.write(join(folder, "d"), { a: ["x"] }, { shards: 2 } as Loose), "shards"],
    [() => Dataset.write(join(folder, "d"), { a: ["x"] }, { durability: "none" } as Loose), "durability"],
    [() => VectorCache.create({ ...creation, batchsize: 8 } as Loose), "batchsize"],
    [() => VectorCache.create({ ...creation, quantization: { zero: 1 } } as Loose), "quantization.zero"],
    [() => VectorCache.create({ ...creation, onProgress: "bar" } as Loose), "onProgress"],
    [() => VectorCache.create({ ...creation, numShards: 1, maxShardSize: 5 }), "numShards"],
    [() => VectorCache.create(undefined as Loose), "options"],
    [() => VectorCache.load("c", folder as Loose), "options"],
    [() => VectorCache.load("c", { folder } as Loose), "folder"],
    [() => VectorCache.list({ path: folder } as Loose), "path"],
    [() => VectorCache.unfinished({ path: folder } as Loose), "path"],
    [() => VectorCache.delete("c", { path: folder } as Loose), "path"],
    [() => created().then((made) => made.extend({ colunm: "b", vectorizer } as Loose)), "colunm"],
    [() => created().then((made) => made.extend({ vectorizer })), "nothing to extend with"],
    [() => created().then((made) => made.nearest([1], { top: 3 } as Loose)), "top"],
    [() => created().then((made) => made.verify({ repair: true } as Loose)), "repair"],
    [() => hashingVectorizer({ dim: 64 } as Loose), "dim"],
    [() => withLimits(vectorizer, { retry: 3 } as Loose), "retry"],
    [() => fromFunction(vectorizer.embed, { model: "m", dim: 1 } as Loose), "dim"],
    [() => fromTransformers((() => undefined) as Loose, { pool: "cls" } as Loose), "pool"],
    [() => fromAiSdk({ doEmbed: () => undefined } as Loose, { name: "m" } as Loose), "name"],
    [() => fromLangChain({ embedDocuments: async () => [] }, { name: "m" } as Loose), "name"],
  ],
};

describe.each(Object.entries(refused))("%s", (_, calls) => {
  test.each(calls)("%s names %j", async (call, named) => {
    const failure = await Promise.resolve()
      .then(call)
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(failure).toMatchObject({
      code: "ERR_QUIVER_BAD_OPTION",
      message: expect.stringContaining(named),
    });
  });
});

test("the name that was meant is told, and no other", async () => {
  await expect(Cache.open({ backend: "memory", maxSizeMB: 5 } as Loose)).rejects.toMatchObject({
    hint: expect.stringContaining("backend, path, redisUrl, maxSizeMb"),
    fix: "Write maxSizeMb, or leave the option out.",
  });
  await expect(values.set("a", 1, { Ttl: 5 })).rejects.toMatchObject({
    fix: "Write ttl, or leave the option out.",
  });
  await expect(values.set("a", 1, { color: 5 })).rejects.toMatchObject({
    fix: "Correct the name, or leave the option out.",
  });
});
