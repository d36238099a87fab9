import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Cache, Tensor } from "../../src/index.ts";
import { collectGarbage } from "../../src/shared/collect.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "quiver-disk-"));
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("a cache on the disk", () => {
  test("that was removed, or replaced by another, acknowledges no more writes", async () => {
    await using strict = await Cache.open(root);
    const values = strict.namespace("n");
    await values.set("k", 1);
    await rm(root, { recursive: true });
    const vanished = { code: "ERR_QUIVER_ROOT_VANISHED", path: root };
    await vi.waitFor(() => expect(values.set("k", 2)).rejects.toMatchObject(vanished), 10_000);
    await using replacing = await Cache.open(root);
    await replacing.namespace("n").set("k", 3);
    await expect(values.delete("k")).rejects.toMatchObject(vanished);
    expect(await values.getOrCompute("new", () => "computed")).toBe("computed");
    expect(await replacing.namespace("n").get("k")).toBe(3);
    expect(await replacing.namespace("n").has("new")).toBe(false);
  });

  test("gives its files and memory back when it is closed and forgotten", async () => {
    const round = async (): Promise<void> => {
      const cache = await Cache.open(root, { durability: "process" });
      await cache.namespace("n").set("k", "v");
      await cache.close();
    };
    const openFiles = async (): Promise<number> => {
      await collectGarbage();
      return (await readdir("/proc/self/fd")).length;
    };
    await round();
    const before = await openFiles();
    for (let i = 0; i < 10; i++) await round();
    // One cache may still be held by the last turn.
    expect(await openFiles()).toBeLessThan(before + 10);
  });

  test("keeps values of every codec over a close, and tensors come back mapped", async () => {
    const tensor = new Tensor(
      new Float64Array(100_000).map((_, i) => Math.sqrt(i)),
      [100, 1000],
    );
    {
      await using cache = await Cache.open(root, { namespaces: { named: { layout: "named" } } });
      const named = cache.namespace("named");
      await named.set("kernel_1.5", tensor);
      await named.set("settings", { alpha: 1.5, list: [1, 2, 3] });
      await named.set("wisdom", new Uint8Array([1, 2, 3]));
      await cache.namespace("small").set("text", "hello");
    }
    await using cache = await Cache.open(root);
    const named = cache.namespace("named");
    const back = (await named.get("kernel_1.5")) as Tensor;
    expect(back.isView).toBe(true);
    expect(back.equals(tensor)).toBe(true);
    expect(await named.get("settings")).toEqual({ alpha: 1.5, list: [1, 2, 3] });
    expect(await named.get("wisdom")).toEqual(new Uint8Array([1, 2, 3]));
    expect(await cache.namespace("small").get("text")).toBe("hello");
    const bytes = await readFile(join(root, "named", "kernel_1.5.npy"));
    expect(bytes.subarray(1, 6).toString()).toBe("NUMPY");
  });

  test("a small value is held from the second reading on, bytes when they were copied often, in memory of their own", async () => {
    await using cache = await Cache.open(root, { durability: "process" });
    const values = cache.namespace("values");
    const bytes = new Uint8Array(1_000).fill(7);
    await values.set("bytes", bytes);
    await values.set("tensor", new Tensor(new Float32Array([1, 2])));
    await values.set("object", { list: [1] });
    const firstBytes = (await values.get("bytes")) as Uint8Array;
    const firstTensor = (await values.get("tensor")) as Tensor;
    expect(firstBytes.buffer).toBe(firstTensor.data.buffer);
    const parsed = await values.get("object");
    expect(Object.isFrozen(parsed)).toBe(true);
    expect(cache.describe().held).toBe(0);
    for (let reading = 2; reading < 52; reading += 2) {
      expect((await values.get("bytes")) === values.getSync("bytes"), `${reading}`).toBe(false);
    }
    expect(cache.describe().held).toBe(0);
    const again = (await values.get("bytes")) as Uint8Array;
    expect(again.buffer.byteLength).toBe(1_000);
    expect(values.getSync("bytes")).toBe(again);
    expect((await values.get("tensor")) as Tensor).toBe(values.getSync("tensor"));
    const parsedAgain = await values.get("object");
    expect(parsedAgain).not.toBe(parsed);
    expect(values.getSync("object"), "parsed twice").toBe(parsedAgain);
    expect([firstBytes, again]).toEqual([bytes, bytes]);
  });

  test("values that memory doesn't hold each keep their own bytes", async () => {
    await using cache = await Cache.open(root, { memoryLimit: 0, durability: "process" });
    const space = cache.namespace<Uint8Array>("n", { codec: "bin" });
    const sizes = [0, 1, 63, 64, 65, 4_080, 4_081, 10_000, 16_384, 16_385, 40_000];
    // Long keys, and those beyond ASCII, are handed over in other ways than short ones.
    const keys = sizes.flatMap((size) => [`${size}`, `ü${size}`, `${size}-${"x".repeat(300)}`]);
    const bytesOf = (index: number): Uint8Array =>
      new Uint8Array(sizes[Math.floor(index / 3)] as number).fill(index + 1);
    await Promise.all(keys.map((key, index) => space.set(key, bytesOf(index))));
    const read: (readonly [Uint8Array | undefined, Uint8Array])[] = [];
    for (let round = 0; round < 5; round++) {
      for (const [index, key] of keys.entries()) {
        read.push([await space.get(key), bytesOf(index)], [space.getSync(key), bytesOf(index)]);
      }
    }
    for (const [bytes, expected] of read) expect(Buffer.compare(bytes ?? Buffer.of(), expected)).toBe(0);
    const small = space.getSync("64") as Uint8Array<ArrayBuffer>;
    structuredClone(small, { transfer: [small.buffer] });
    expect(small.byteLength).toBe(64);
  });

  test("values are set without a promise, and in the order of the calls", async () => {
    await using cache = await Cache.open(root);
    const space = cache.namespace<unknown>("n");
    expect(() => space.setSync("k", 1)).toThrow(/can't set this value/);
    await space.has("k");
    expect(space.setSync("k", { a: 1 }, { tags: ["t"] })).toMatchObject({
      key: "k",
      codec: "json",
      tags: ["t"],
    });
    expect(space.getSync("k")).toEqual({ a: 1 });
    const later = space.set("k", "later");
    expect(() => space.setSync("k", "now")).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_UNSUPPORTED" }),
    );
    space.setSync("other", "now");
    await later;
    expect([await space.get("k"), await space.get("other")]).toEqual(["later", "now"]);
    space.setSync("large", new Uint8Array(100_000).fill(7));
    expect(await space.get("large")).toEqual(new Uint8Array(100_000).fill(7));
    expect(() => space.setSync("", 1)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_KEY" }));
    const { sets } = await space.stats();
    expect(sets).toBe(4);
  });

  test("recorded limits hold for who opens it without naming any, and differing ones are refused", async () => {
    await (await Cache.open(root, { maxSize: "10MB", eviction: "fifo" })).close();
    await using cache = await Cache.open(root);
    const origins = new Map(cache.explainConfig().map((origin) => [origin.option, origin]));
    expect(origins.get("maxSize")).toMatchObject({ value: 10 * 1024 * 1024, source: "recorded" });
    expect(origins.get("eviction")).toMatchObject({ source: "recorded" });
    await expect(Cache.open(root, { maxSize: "20MB" })).rejects.toMatchObject({
      code: "ERR_QUIVER_SETTINGS_DIFFER",
    });
  });

  test("counts survive a restart", async () => {
    {
      await using cache = await Cache.open(root);
      const space = cache.namespace("n");
      await space.set("k", "v");
      for (let i = 0; i < 10; i++) expect(await space.get("k")).toBe("v");
      await space.get("absent");
    }
    await using cache = await Cache.open(root);
    const { hits, misses, sets } = await cache.namespace("n").stats();
    expect({ hits, misses, sets }).toEqual({ hits: 10, misses: 1, sets: 1 });
  });

  test("a path is leased and the entry stays meanwhile", async () => {
    await using cache = await Cache.open(root, { maxEntries: 2, namespaces: { n: { layout: "named" } } });
    const space = cache.namespace("n");
    await space.set("leased", new Uint8Array(100));
    using file = await space.path("leased", { verify: true });
    for (let i = 0; i < 5; i++) await space.set(`k${i}`, new Uint8Array(100));
    await cache.evict();
    expect((await readFile(file?.path ?? "")).byteLength).toBe(100);
    expect(await space.has("leased")).toBe(true);
  });

  test("a leased file stays as it is until its release, whatever is set and deleted", async () => {
    await using cache = await Cache.open(root, { namespaces: { n: { files: "always" } } });
    const space = cache.namespace("n");
    await space.set("k", new Uint8Array(100_000).fill(1));
    const file = await space.path("k", { verify: true });
    const path = file?.path ?? "";
    await space.set("k", new Uint8Array(100_000).fill(2));
    await space.delete("k");
    expect(await space.path("k")).toBeUndefined();
    expect((await readFile(path)).every((byte) => byte === 1)).toBe(true);
    file?.release();
    file?.release();
    await expect(readFile(path)).rejects.toThrow(/ENOENT/);
  });

  test("leases end with the cache that took them, also those under way, though another has the folder open", async () => {
    await using other = await Cache.open(root, { namespaces: { n: { files: "always" } } });
    const cache = await Cache.open(root);
    const space = cache.namespace("n");
    await space.set("k", new Uint8Array(20_000_000));
    const file = await space.path("k");
    // Takes longer than to close.
    const underWay = space.path("k", { verify: true }).catch(({ code }) => code);
    await cache.close();
    expect(await underWay).toSatisfy((late) => late === "ERR_QUIVER_CLOSED" || !existsSync(late.path));
    const left = (): Promise<string[]> => readdir(join(root, ".quiver/leased"));
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
    file?.release();
    expect(await other.namespace("n").has("k")).toBe(true);
  });
});
