import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { Cache, type CacheOptions, type NamespaceOptions } from "../../src/index.ts";

/** A namespace of a local cache, open. */
async function opened(options: NamespaceOptions = {}, cacheOptions: CacheOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), "quiver-write-batch-"));
  const cache = await Cache.open(folder, { durability: "process", ...cacheOptions });
  onTestFinished(async () => {
    await cache.close();
    rmSync(folder, { recursive: true });
  });
  const values = cache.namespace<Uint8Array>("n", { codec: "bin", ...options });
  await values.has("anything");
  return { cache, values };
}

const bytes = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill);

test("setMany leaves what single calls in the same order would, beside others that are under way", async () => {
  const { values } = await opened();
  const step = fc.record({
    key: fc.constantFrom("a", "b", "ü€", "d", "e"),
    size: fc.constantFrom(0, 1, 100, 16 * 1024, 16 * 1024 + 1, 70_000),
    options: fc.constantFrom(undefined, { ttl: "1h" as const }, { tags: ["t"] }, { priority: 2 }),
  });
  const calls = fc.array(
    fc.oneof(
      fc.record({ many: fc.array(step, { maxLength: 12 }) }),
      fc.record({ single: step }),
      fc.record({ get: fc.constantFrom("a", "b", "ü€", "d", "e") }),
      fc.record({ remove: fc.constantFrom("a", "b", "ü€", "d", "e") }),
    ),
    { maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(calls, async (all) => {
      await values.clear();
      const model = new Map<string, Uint8Array>();
      let fill = 0;
      const noted = (key: string, size: number): Uint8Array => {
        const value = bytes(size, ++fill % 256);
        model.set(key, value);
        return value;
      };
      const awaited = all.map(async (call) => {
        if ("many" in call) {
          const pairs = call.many.map(
            ({ key, size, options }) => [key, noted(key, size), options ?? {}] as const,
          );
          const facts = await values.setMany(pairs, { ttl: null });
          const found = facts.map((each) => [
            each.key,
            each.size,
            each.priority,
            each.tags,
            each.expiresAt !== null,
          ]);
          expect(found).toEqual(
            call.many.map(({ key, size, options = {} }) => [
              key,
              size,
              "priority" in options ? 2 : 0,
              "tags" in options ? ["t"] : [],
              "ttl" in options,
            ]),
          );
        } else if ("single" in call) {
          const { key, size, options } = call.single;
          await values.set(key, noted(key, size), options);
        } else if ("get" in call) {
          const expected = model.get(call.get);
          expect(await values.get(call.get)).toEqual(expected);
        } else {
          model.delete(call.remove);
          await values.delete(call.remove);
        }
      });
      await Promise.all(awaited);
      for (const key of ["a", "b", "ü€", "d", "e"]) expect(await values.get(key)).toEqual(model.get(key));
    }),
    { numRuns: 30 },
  );
});

test("values are taken as they are when they are given, however many there are", async () => {
  const { cache, values } = await opened();
  const heard: string[] = [];
  cache.on("set", ({ key }) => heard.push(key));
  const memory = bytes(100, 0);
  function* pairs(): Generator<readonly [string, Uint8Array]> {
    for (let index = 0; index < 3_000; index++) yield [`k${index}`, memory.fill(index % 256)];
  }
  const facts = await values.setMany(pairs());
  expect(facts.map(({ key }) => key)).toEqual(Array.from({ length: 3_000 }, (_, index) => `k${index}`));
  expect(heard.sort()).toEqual(facts.map(({ key }) => key).sort());
  for (const index of [0, 1, 511, 512, 1_023, 1_024, 2_999]) {
    expect(await values.get(`k${index}`)).toEqual(bytes(100, index % 256));
  }
  const { namespaces } = await cache.metrics();
  expect(namespaces["n"]?.latencies.write.count).toBe(3_000);
});

test("what fails is told, what came before it is stored, and nothing is asked for after it", async () => {
  // The last one is within the limit as it is, and beyond it as it lies on the disk.
  const { values } = await opened({ maxSize: 16_000 });
  const wrong: readonly [unknown, string][] = [
    [["", bytes(1, 1)], "ERR_QUIVER_BAD_KEY"],
    ["pair", "ERR_QUIVER_BAD_OPTION"],
    [["k", bytes(1, 1), { tll: 1 }], "ERR_QUIVER_BAD_OPTION"],
    [["k", 7], "ERR_QUIVER_BAD_VALUE"],
    [["k", bytes(16_001, 1)], "ERR_QUIVER_TOO_LARGE"],
    [["k", bytes(15_999, 1)], "ERR_QUIVER_TOO_LARGE"],
  ];
  for (const [pair, code] of wrong) {
    await values.clear();
    let isClosed = false;
    const pairs = (function* (): Generator<readonly [string, Uint8Array]> {
      try {
        yield ["before", bytes(3, 3)];
        yield pair as [string, Uint8Array];
        for (let index = 0; ; index++) yield [`k${index % 4}`, bytes(1, 1)];
      } finally {
        isClosed = true;
      }
    })();
    await expect(values.setMany(pairs), code).rejects.toMatchObject({ code });
    expect(await values.get("before")).toEqual(bytes(3, 3));
    expect(await values.has("k")).toBe(false);
    expect(isClosed).toBe(true);
  }
});

test("streams and values that go to files are among the others", async () => {
  const { values } = await opened();
  const large = (index: number) => [`large ${index}`, bytes(100_000, index)] as const;
  const pairs = Array.from({ length: 100 }, (_, index) => [
    large(index),
    [`small ${index}`, bytes(10, index)] as const,
  ]).flat();
  const stream = ["stream", Readable.from([bytes(5, 5), bytes(5, 6)]) as unknown as Uint8Array] as const;
  const facts = await values.setMany([...pairs, stream]);
  expect(facts.map(({ size }) => size)).toEqual([...Array(100).fill([100_000, 10]).flat(), 10]);
  expect(await values.get("large 99")).toEqual(bytes(100_000, 99));
  expect(await values.get("stream")).toEqual(Uint8Array.of(5, 5, 5, 5, 5, 6, 6, 6, 6, 6));
});

test("a closed cache takes none", async () => {
  const { cache, values } = await opened();
  await values.setMany([["k", bytes(1, 1)]]);
  await cache.close();
  await expect(values.setMany([["k", bytes(1, 1)]])).rejects.toMatchObject({ code: "ERR_QUIVER_CLOSED" });
});
