import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cache, type CacheOptions, type Codec, MemoryStore, Tensor } from "../../src/index.ts";
import { setClockForTests } from "../../src/shared/clock.ts";
import type { Store } from "../../src/stores/store.ts";

const open = (options: CacheOptions = {}) => Cache.open(undefined, { store: new MemoryStore(), ...options });

/** Encodes numbers, each as many milliseconds later as it is large. */
const slow: Codec<number> = {
  name: "slow",
  extension: "slow",
  sharing: "shared",
  accepts: (value) => typeof value === "number",
  encode: async (value) => {
    await delay(value);
    return { parts: [Uint8Array.of(value)], byteLength: 1 };
  },
  decode: (bytes) => bytes[0] as number,
};

/** A store whose namespaces fail in the given ways. */
function failing(methods: readonly string[]): Store {
  const store = new MemoryStore();
  const openOf = store.open.bind(store);
  store.open = async (...args: Parameters<Store["open"]>) =>
    new Proxy(await openOf(...args), {
      get(target, name) {
        const member = Reflect.get(target, name) as unknown;
        if (!methods.includes(String(name)))
          return typeof member === "function" ? member.bind(target) : member;
        return () => {
          throw Object.assign(new Error("the disk is on fire"), { code: "EIO" });
        };
      },
    });
  return store;
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test("values of every kind come back, with their facts", async () => {
  await using cache = await open();
  const values = cache.namespace("values");
  await values.set(
    "json",
    { a: [1, null] },
    { metadata: { by: "me" }, tags: ["t"], priority: 3, pinned: true },
  );
  await values.set("text", "héllo");
  await values.set("bytes", new Uint8Array([0, 255]));
  await values.set("tensor", new Tensor(new Float32Array(6), [2, 3]));
  expect(await values.getMany(["json", "text", "missing"])).toEqual([{ a: [1, null] }, "héllo", undefined]);
  expect(await values.get("bytes")).toEqual(new Uint8Array([0, 255]));
  expect(await values.info("json")).toMatchObject({
    key: "json",
    codec: "json",
    metadata: { by: "me" },
    tags: ["t"],
    priority: 3,
    pinned: true,
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  });
  expect(await values.info("tensor")).toMatchObject({ codec: "npy", shape: [2, 3], dtype: "float32" });
  expect(await values.info("missing")).toBeUndefined();
  expect([await values.has("text"), await values.has("missing")]).toEqual([true, false]);
});

test("the value is taken as it is at the time of the call", async () => {
  await using cache = await open();
  const values = cache.namespace<Tensor | Uint8Array | Record<string, Tensor>>("values");
  const numbers = new Float64Array([1, 2, 3]);
  const tensor = new Tensor(numbers);
  const bytes = new Uint8Array([1, 2, 3]);
  const metadata = { note: "before" };
  // The first call also finds the namespace unopened, so that nothing can be stored within it.
  const writes = [
    values.set("bytes", bytes, { metadata }),
    values.set("npy", tensor),
    values.set("npz", { a: tensor }, { compression: "none" }),
    values.set("deflated", { a: tensor }, { compression: "deflate" }),
  ];
  numbers.fill(9);
  bytes.fill(9);
  metadata.note = "after";
  await Promise.all(writes);
  const again = [values.set("bytes2", bytes), values.set("npz2", tensor, { codec: "npz" })];
  numbers.fill(7);
  bytes.fill(7);
  await Promise.all(again);
  const arrayOf = async (key: string) => {
    const value = await values.get(key);
    if (value instanceof Tensor) return value.toArray();
    return value instanceof Uint8Array ? [...value] : value?.["a"]?.toArray();
  };
  for (const key of ["bytes", "npy", "npz", "deflated"]) expect(await arrayOf(key), key).toEqual([1, 2, 3]);
  for (const key of ["bytes2", "npz2"]) expect(await arrayOf(key), key).toEqual([9, 9, 9]);
  expect((await values.info("bytes"))?.metadata).toEqual({ note: "before" });
});

test("a column-major tensor stays one when it is copied", async () => {
  await using cache = await open();
  const values = cache.namespace<Tensor>("values");
  const tensor = new Tensor(new Float64Array([1, 2, 3, 4, 5, 6]), [2, 3], { order: "F" });
  await values.set("f", tensor, { codec: "npz" });
  const read = await values.get("f");
  expect(read?.toArray()).toEqual(tensor.toArray());
  expect(read?.strides).toEqual([1, 2]);
});

test("memory that can shrink is refused", async () => {
  await using cache = await open();
  const values = cache.namespace("values");
  // Not in the types of ES2023, but in Node 20.
  const Resizable = ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer;
  const bytes = new Uint8Array(new Resizable(8, { maxByteLength: 16 }));
  await expect(values.set("a", bytes)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE", key: "a" });
  await values.set("a", bytes.slice());
});

test("operations on one key take effect in the order of the calls, whatever their encoding takes", async () => {
  await using cache = await open();
  const values = cache.namespace<number | string>("values", { codec: slow as Codec });
  // Opens the namespace: from here on what needs no encoding could reach the store within its call.
  await values.set("opened", 1);
  await Promise.all([values.set("c", 40), values.set("c", "text", { codec: "text" })]);
  expect(await values.get("c")).toBe("text");
  await Promise.all([values.set("a", 60), values.set("a", 1), values.set("b", 30), values.delete("b")]);
  expect(await values.get("a")).toBe(1);
  expect(await values.get("b")).toBeUndefined();
  const order: string[] = [];
  cache.on("set", ({ key }) => void order.push(key));
  await Promise.all([values.set("late", 40), values.set("early", 1)]);
  expect(order, "other keys don't wait").toEqual(["early", "late"]);
});

test("a write that fails does not hold up the next", async () => {
  await using cache = await open();
  const values = cache.namespace("values", { codec: "npz" });
  const bad = values.set("a", "no tensor");
  const good = values.set("a", new Tensor(new Uint8Array(2)));
  await expect(bad).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
  await good;
  expect(await values.get("a")).toBeInstanceOf(Tensor);
});

test("a time to live comes from the call, the namespace, the cache; null ends the search", async () => {
  let time = 1_000_000_000_000;
  const restore = setClockForTests(() => time);
  await using cache = await open({ ttl: "1h", namespaces: { short: { ttl: "1m" }, ever: { ttl: null } } });
  const expiry = async (name: string, options = {}) =>
    (await cache.namespace(name).set("k", 1, options)).expiresAt;
  expect(await expiry("plain")).toBe(time + 3_600_000);
  expect(await expiry("short")).toBe(time + 60_000);
  expect(await expiry("ever")).toBeNull();
  expect(await expiry("short", { ttl: "5s" })).toBe(time + 5000);
  expect(await expiry("short", { ttl: null })).toBeNull();
  const plain = cache.namespace("plain");
  await plain.get("k");
  time += 3_600_000;
  expect([await plain.get("k"), plain.getSync("k"), await plain.has("k")]).toEqual([
    undefined,
    undefined,
    false,
  ]);
  restore();
});

test("keys come in the order of their bytes, with a prefix or without, over many pages", async () => {
  await using cache = await open();
  const values = cache.namespace("values");
  const names = Array.from({ length: 2500 }, (_, index) => `n${String(index).padStart(5, "0")}`);
  await values.setMany([...names, "\u{1F600}", "\uFFFD", "other"].map((key) => [key, 1] as const));
  const keys: string[] = [];
  for await (const key of values.keys()) keys.push(key);
  expect(keys).toEqual([...names, "other", "\uFFFD", "\u{1F600}"]);
  const some: string[] = [];
  for await (const [key, info] of values.entries({ prefix: "n0001" })) some.push(`${key}:${info.size}`);
  expect(some).toHaveLength(10);
  expect(await values.deleteMany(["other", "other", "missing"])).toBe(1);
  expect(await values.clear()).toBe(2502);
});

test("touch changes what it is given, pin keeps it", async () => {
  await using cache = await open();
  const values = cache.namespace("values");
  await values.set("a", 1, { metadata: { x: 1 }, tags: ["t"], ttl: "1h" });
  expect(await values.touch("a", { priority: 2, ttl: null })).toMatchObject({
    priority: 2,
    expiresAt: null,
    metadata: { x: 1 },
    tags: ["t"],
  });
  expect(await values.touch("a", { metadata: null, tags: [] })).toMatchObject({
    metadata: undefined,
    tags: [],
  });
  expect([await values.pin("a"), await values.pin("missing")]).toEqual([true, false]);
  expect((await values.info("a"))?.pinned).toBe(true);
  await values.unpin("a");
  expect((await values.info("a"))?.pinned).toBe(false);
  expect(await values.touch("missing", { priority: 1 })).toBeUndefined();
});

test("replaced values can be had by their number", async () => {
  await using cache = await open();
  const values = cache.namespace("values", { versions: 2 });
  for (const value of ["one", "two", "three", "four"]) await values.set("a", value);
  expect((await values.versions("a")).map(({ version }) => version)).toEqual([3, 2]);
  expect(await values.get("a", { version: 2 })).toBe("two");
  expect(await values.get("a", { version: 1 })).toBeUndefined();
  expect(await values.get("a")).toBe("four");
});

test("streams go in and out", async () => {
  await using cache = await open();
  const values = cache.namespace<Uint8Array>("values");
  const bytes = Uint8Array.from({ length: 700_000 }, (_, index) => index % 251);
  const chunks = function* () {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
  };
  await values.set("node", Readable.from(chunks()));
  await values.set("web", ReadableStream.from(chunks()) as ReadableStream<Uint8Array>);
  await values.set("json", Readable.from([Buffer.from('{"a":1}')]), { codec: "json" });
  for (const key of ["node", "web"])
    expect(Buffer.compare((await values.get(key)) as Uint8Array, bytes)).toBe(0);
  expect(await values.get("json")).toEqual({ a: 1 });
  expect(Buffer.compare(await buffer(values.createReadStream("node")), bytes)).toBe(0);
  const part = await buffer(values.createReadStream("node", { start: 262_100, end: 262_200 }));
  expect(Buffer.compare(part, bytes.subarray(262_100, 262_200))).toBe(0);
  expect(await buffer(values.createReadStream("node", { start: 699_999, end: 900_000 }))).toHaveLength(1);
  await expect(buffer(values.createReadStream("missing"))).rejects.toMatchObject({
    code: "ERR_QUIVER_NOT_FOUND",
  });
});

test("a stream that fails, is aborted or brings no bytes leaves what was there", async () => {
  await using cache = await open({ maxSize: "1MB" });
  const values = cache.namespace("values");
  await values.set("a", "before");
  const broken = async function* () {
    yield new Uint8Array(10);
    throw new Error("line cut");
  };
  await expect(values.set("a", broken())).rejects.toThrow("line cut");
  await expect(values.set("a", Readable.from(["text"]))).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_VALUE",
  });
  let returned = false;
  const endless = async function* () {
    try {
      yield new Uint8Array(10);
      await new Promise(() => {});
    } finally {
      returned = true;
    }
  };
  const controller = new AbortController();
  const pending = values.set("a", endless(), { signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  await expect(pending).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
  expect(returned, "a generator that hangs can't be ended").toBe(false);
  const large = async function* () {
    for (;;) yield new Uint8Array(100_000);
  };
  await expect(values.set("a", large())).rejects.toMatchObject({ code: "ERR_QUIVER_TOO_LARGE" });
  expect(await values.get("a")).toBe("before");
});

test("a streamed write that fails is aborted in the store, so that nothing of it stays there", async () => {
  const store = new MemoryStore();
  const ended: string[] = [];
  const openOf = store.open.bind(store);
  store.open = async (...args: Parameters<Store["open"]>) => {
    const namespace = await openOf(...args);
    const writerOf = namespace.writer.bind(namespace);
    namespace.writer = async (...options) => {
      const writer = await writerOf(...options);
      const { abort, commit } = writer;
      writer.abort = () => {
        ended.push("abort");
        return abort.call(writer);
      };
      writer.commit = (facts) => {
        ended.push("commit");
        return commit.call(writer, facts);
      };
      return writer;
    };
    return namespace;
  };
  await using cache = await Cache.open(undefined, { store });
  const values = cache.namespace("values");
  await values.set("a", Readable.from([new Uint8Array(3)]));
  await expect(values.set("a", Readable.from([1]))).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
  expect(ended).toEqual(["commit", "abort"]);
});

test("a value larger than a limit is refused before it is stored", async () => {
  await using cache = await open({ namespaces: { small: { maxSize: 100 } } });
  const values = cache.namespace("small");
  await expect(values.set("a", new Uint8Array(101))).rejects.toMatchObject({ code: "ERR_QUIVER_TOO_LARGE" });
});

test.each(["", "a\0b", "\ud800", 7])("%j is no key", async (key) => {
  await using cache = await open();
  const values = cache.namespace("values");
  const bad = key as string;
  const error = { code: "ERR_QUIVER_BAD_KEY" };
  await expect(values.get(bad)).rejects.toMatchObject(error);
  await expect(values.set(bad, 1)).rejects.toMatchObject(error);
  await expect(values.getOrCompute(bad, () => 1)).rejects.toMatchObject(error);
  expect(() => values.getSync(bad)).toThrow(expect.objectContaining(error));
});

test("failures of the store are thrown, or are misses where the namespace says so", async () => {
  const store = failing(["get", "getSync", "set", "has", "info", "delete"]);
  const warned: string[] = [];
  const logger = { ...quiet, warn: (message: string) => void warned.push(message) };
  await using cache = await Cache.open(undefined, {
    store,
    logger,
    namespaces: { lax: { onError: "miss" } },
  });
  const strict = cache.namespace("strict");
  for (const call of [strict.get("a"), strict.set("a", 1), strict.has("a"), strict.delete("a")]) {
    await expect(call).rejects.toThrow("on fire");
  }
  const errors: unknown[] = [];
  cache.on("error", ({ key, namespace }) => void errors.push(`${namespace}/${key}`));
  const lax = cache.namespace("lax");
  expect([await lax.get("a"), lax.getSync("a"), await lax.has("a"), await lax.info("a")]).toEqual([
    undefined,
    undefined,
    false,
    undefined,
  ]);
  expect(await lax.set("a", 1)).toMatchObject({ key: "a" });
  expect(errors).toEqual(Array(5).fill("lax/a"));
  expect(warned.every((message) => message.includes("on fire"))).toBe(true);
  expect((await lax.stats()).errors).toBe(5);
  await expect(lax.set("", 1), "mistakes are not failures").rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_KEY",
  });
});

test("read-only reads and refuses to write", async () => {
  const store = new MemoryStore();
  const writer = await Cache.open(undefined, { store });
  await writer.namespace("values").set("a", 1);
  const reader = await Cache.open(undefined, { store, mode: "read-only" });
  const values = reader.namespace("values");
  expect(await values.get("a")).toBe(1);
  expect(await values.getOrCompute("b", () => 2)).toBe(2);
  expect(await values.get("b")).toBeUndefined();
  const refused = { code: "ERR_QUIVER_READ_ONLY" };
  for (const call of [
    values.set("a", 2),
    values.delete("a"),
    values.touch("a", {}),
    values.clear(),
    values.pin("a"),
  ]) {
    await expect(call).rejects.toMatchObject(refused);
  }
  await expect(reader.evict()).rejects.toMatchObject(refused);
  await writer.close();
});

test("nothing works after close, writes under way are finished before it", async () => {
  const store = new MemoryStore();
  let stored = 0;
  const cache = await Cache.open(undefined, { store });
  cache.on("set", () => void stored++);
  const values = cache.namespace<number>("values", { codec: slow });
  await values.set("held", 1);
  await values.get("held");
  const pending = values.set("a", 20);
  const closing = cache.close();
  const closed = { code: "ERR_QUIVER_CLOSED" };
  await closing;
  await pending;
  expect(stored).toBe(2);
  for (const call of [
    values.get("held"),
    values.set("a", 1),
    values.has("a"),
    values.delete("a"),
    values.info("a"),
    values.stats(),
    values.clear(),
    values.versions("a"),
    values.path("a"),
    values.getOrCompute("a", () => 1),
    values.keys().next(),
    cache.stats(),
    cache.verify(),
    cache.clear(),
    cache.evict(),
    cache.warm([]),
    cache.invalidate({ tag: "t" }),
  ]) {
    await expect(call).rejects.toMatchObject(closed);
  }
  expect(() => values.getSync("held")).toThrow(expect.objectContaining(closed));
  expect(() => cache.namespace("values")).toThrow(expect.objectContaining(closed));
  await cache.close();
});

test("a copy may be written to, and nobody else sees it", async () => {
  await using cache = await open();
  const values = cache.namespace<unknown>("values");
  await values.set("bytes", new Uint8Array([1, 2]));
  await values.set("tensor", new Tensor(Int32Array.of(1, 2, 3, 4), [2, 2]));
  await values.set("tensors", { weights: new Tensor(Float32Array.of(1)) });
  await values.set("object", { list: [{ n: 1 }] });
  for (const key of ["bytes", "tensor", "tensors", "object"]) {
    const copy = await values.get(key, { copy: true });
    expect(copy).toEqual(await values.get(key));
    expect(copy).not.toBe(await values.get(key));
  }
  const bytes = (await values.get("bytes", { copy: true })) as Uint8Array;
  bytes[0] = 9;
  expect(await values.get("bytes")).toEqual(new Uint8Array([1, 2]));
  const tensor = (await values.get("tensor", { copy: true })) as Tensor;
  expect(tensor.equals((await values.get("tensor")) as Tensor)).toBe(true);
  tensor.data[0] = 9;
  expect(((await values.get("tensor")) as Tensor).at(0, 0)).toBe(1);
  const object = (await values.get("object", { copy: true })) as { list: { n: number }[] };
  object.list.push({ n: 2 });
  expect(await values.get("object")).toEqual({ list: [{ n: 1 }] });
  expect(await values.get("none", { copy: true })).toBeUndefined();
});
