import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { setClockForTests } from "../../src/shared/clock.ts";
import { KeyOrder } from "../../src/stores/memory/key-order.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import type { NewFacts, StoreNamespace } from "../../src/stores/store.ts";

let restoreClock: (() => void) | undefined;
afterEach(() => restoreClock?.());

/** A clock that moves on by a millisecond with every reading, so that accesses have an order. */
function tickingClock(): void {
  let time = 1_800_000_000_000;
  restoreClock = setClockForTests(() => time++);
}

const forEver: NewFacts = { codec: "bin", extension: "dat", expiresAt: null };

function put(namespace: StoreNamespace, key: string, size: number, facts: Partial<NewFacts> = {}) {
  const value = { parts: [new Uint8Array(size).fill(7)], byteLength: size };
  return namespace.set(key, value, { ...forEver, ...facts });
}

async function keys(namespace: StoreNamespace): Promise<string[]> {
  return (await namespace.list({ limit: 10_000 })).entries.map((entry) => entry.key);
}

describe("a limit of the store's own", () => {
  // An entry of 1000 bytes counts as 1008 + 256.
  const maxSize = 10 * 1264;

  test("is kept by evicting what was used least recently", async () => {
    tickingClock();
    const store = new MemoryStore({ maxSize });
    const namespace = await store.open("n", {});
    for (let index = 0; index < 10; index++) await put(namespace, `k${index}`, 1000);
    expect(store.usage().allocated).toBe(maxSize);
    await namespace.get("k0");
    await put(namespace, "new", 1000);
    expect(store.usage().allocated).toBeLessThanOrEqual(maxSize);
    expect(await keys(namespace)).toEqual(["k0", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "new"]);
  });

  test("counts accesses by those who hold the value", async () => {
    tickingClock();
    const store = new MemoryStore({ maxSize });
    const namespace = await store.open("n", {});
    for (let index = 0; index < 10; index++) await put(namespace, `k${index}`, 1000);
    const slot = (await namespace.get("k0"))?.slot ?? 0;
    for (let index = 1; index < 10; index++) await namespace.get(`k${index}`);
    Atomics.add(namespace.coherence?.heat as Uint32Array, slot, 1);
    await put(namespace, "new", 1000);
    expect(await namespace.has("k0")).toBe(true);
    expect(await namespace.has("k1")).toBe(false);
  });

  test("spans namespaces, and evicts lower priority first", async () => {
    tickingClock();
    const store = new MemoryStore({ maxSize });
    const [one, two] = [await store.open("one", {}), await store.open("two", {})];
    for (let index = 0; index < 5; index++) await put(one, `k${index}`, 1000);
    for (let index = 0; index < 5; index++) await put(two, `k${index}`, 1000, { priority: -1 });
    await put(one, "new", 1000);
    expect((await keys(one)).length).toBe(6);
    expect(await keys(two)).toEqual(["k2", "k3", "k4"]);
  });

  test("lets a value replace one of its size when the store is full of pinned ones", async () => {
    const store = new MemoryStore({ maxSize });
    const namespace = await store.open("n", {});
    for (let index = 0; index < 10; index++) await put(namespace, `k${index}`, 1000, { pinned: true });
    await put(namespace, "k3", 990, { pinned: true });
    expect((await namespace.info("k3"))?.size).toBe(990);
    await expect(put(namespace, "new", 1000)).rejects.toMatchObject({
      code: "ERR_QUIVER_TOO_LARGE",
      key: "new",
    });
    expect((await keys(namespace)).length).toBe(10);
  });

  test("refuses a value that alone exceeds it, and evicts nothing for it", async () => {
    const store = new MemoryStore({ maxSize });
    const namespace = await store.open("n", {});
    await put(namespace, "k", 1000);
    await expect(put(namespace, "big", maxSize)).rejects.toMatchObject({ code: "ERR_QUIVER_TOO_LARGE" });
    const writer = await namespace.writer("big", { extension: "dat", sizeHint: 1e12 });
    await writer.write(new Uint8Array(maxSize));
    await expect(writer.commit(forEver)).rejects.toMatchObject({ code: "ERR_QUIVER_TOO_LARGE" });
    expect(await keys(namespace)).toEqual(["k"]);
  });

  test("holds for random writes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 12_000 }))), async (writes) => {
        const store = new MemoryStore({ maxSize });
        const namespace = await store.open("n", { versions: 1 });
        for (const [key, size] of writes) {
          await put(namespace, `k${key}`, size);
          expect(store.usage().allocated).toBeLessThanOrEqual(maxSize);
          expect(await namespace.has(`k${key}`)).toBe(true);
        }
      }),
    );
  });
});

test("visited is what was read since the last eviction", async () => {
  const store = new MemoryStore();
  const namespace = await store.open("n", {});
  for (const key of ["a", "b", "c"]) await put(namespace, key, 10);
  await namespace.get("b");
  const visited = async (evict: number) => {
    using scan = await store.evictionScan({ goal: { allocated: 0, entries: evict } });
    const columns = await scan.next(10);
    scan.offer(Float64Array.from({ length: columns?.length ?? 0 }, (_, row) => row));
    await scan.evict({ allocated: 0, entries: evict });
    return [...(columns?.visited ?? [])];
  };
  expect(await visited(0)).toEqual([0, 1, 0]);
  expect(await visited(1)).toEqual([0, 1, 0]);
  expect(await visited(0)).toEqual([0, 0]);
  await namespace.get("c");
  expect(await visited(0)).toEqual([0, 1]);
});

test("entries beyond the slots are stored, and never held as current", async () => {
  const store = new MemoryStore({ slots: 3 });
  const namespace = await store.open("n", {});
  for (const key of ["a", "b", "c", "d"]) await put(namespace, key, 10);
  const slots = await Promise.all(["a", "b", "c", "d"].map(async (key) => (await namespace.get(key))?.slot));
  expect(slots).toEqual([1, 2, 0xffff_ffff, 0xffff_ffff]);
  await namespace.delete("c");
  await namespace.delete("a");
  await put(namespace, "e", 10);
  expect((await namespace.get("e"))?.slot).toBe(1);
});

test("fewer versions by reconfiguration drop the oldest at once", async () => {
  const store = new MemoryStore();
  const namespace = await store.open("n", { versions: 3 });
  for (let size = 1; size <= 4; size++) await put(namespace, "k", size);
  expect(namespace.usage().bytes).toBe(10);
  await store.open("n", { versions: 1 }, { reconfigure: true });
  expect((await namespace.versions?.("k"))?.map((facts) => facts.version)).toEqual([3]);
  expect(namespace.usage().bytes).toBe(7);
});

test("a value that has expired is not kept as a version", async () => {
  let time = 1_800_000_000_000;
  restoreClock = setClockForTests(() => time);
  const namespace = await new MemoryStore().open("n", { versions: 3 });
  await put(namespace, "k", 10, { expiresAt: time + 5 });
  time += 5;
  expect((await put(namespace, "k", 20)).version).toBe(1);
  expect(await namespace.versions?.("k")).toEqual([]);
  expect(namespace.usage().bytes).toBe(20);
});

test.each([
  { allocated: 0, entries: 2500 },
  { allocated: 2500 * 272, entries: 0 },
])("scans over more than they need to remember find the lowest scores, for %j", async (goal) => {
  const store = new MemoryStore();
  const namespace = await store.open("n", {});
  const count = 6000;
  for (let index = 0; index < count; index++) {
    const rank = (index * 3571) % count;
    await put(namespace, `k${String(rank).padStart(4, "0")}`, 10, { expiresAt: 4e12 + rank });
  }
  using scan = await store.evictionScan({ goal });
  for (let columns = await scan.next(500); columns; columns = await scan.next(500))
    scan.offer(columns.expiresAt);
  expect((await scan.evict(goal)).count).toBe(2500);
  expect((await keys(namespace))[0]).toBe("k2500");
  expect(namespace.usage().entries).toBe(3500);
});

test("a page has 1 to 10,000 entries", async () => {
  const namespace = await new MemoryStore().open("n", {});
  for (const limit of [0, -1, 1.5, 10_001, Number.NaN]) {
    await expect(namespace.list({ limit })).rejects.toMatchObject({ code: "ERR_QUIVER_OUT_OF_RANGE" });
  }
});

test("KeyOrder lists what a sorted set lists, whatever comes and goes between", () => {
  const key = fc.constantFrom("a", "b", "ba", "c", "\uffff", "\u{10000}", "d", "e");
  const step = fc.oneof(
    fc.record({ add: key }),
    fc.record({ remove: key }),
    fc.record({ prefix: fc.constantFrom("", "b", "\u{10000}"), after: fc.option(key, { nil: undefined }) }),
    fc.constant({ clear: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const present = new Set<string>();
      const order = new KeyOrder((candidate) => present.has(candidate));
      for (const operation of steps) {
        if ("add" in operation && !present.has(operation.add)) {
          present.add(operation.add);
          order.add(operation.add);
        } else if ("remove" in operation && present.delete(operation.remove)) {
          order.remove(operation.remove);
        } else if ("clear" in operation) {
          present.clear();
          order.clear();
        } else if ("prefix" in operation) {
          const { prefix, after } = operation;
          const bytes = (text: string) => Buffer.from(text);
          const expected = [...present]
            .filter((candidate) => candidate.startsWith(prefix))
            .filter((candidate) => after === undefined || Buffer.compare(bytes(candidate), bytes(after)) > 0)
            .sort((left, right) => Buffer.compare(bytes(left), bytes(right)));
          expect([...order.keys(prefix, after)]).toEqual(expected);
        }
      }
    }),
    { numRuns: 500 },
  );
});
