import { describe, expect, test } from "vitest";
import { Router } from "../../src/routing/router.ts";
import type { RouteRule } from "../../src/routing/rules.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { NullStore } from "../../src/stores/null.ts";
import type { NewFacts, StoreNamespace } from "../../src/stores/store.ts";

const facts: NewFacts = { codec: "bin", extension: "dat", expiresAt: null };

function put(namespace: StoreNamespace, key: string, size: number, changes: Partial<NewFacts> = {}) {
  const value = { parts: [new Uint8Array(size).fill(size % 251)], byteLength: size };
  return namespace.set(key, value, { ...facts, ...changes });
}

async function keysOf(namespace: StoreNamespace, limit = 100): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await namespace.list({ limit, ...(after !== undefined && { after }) });
    keys.push(...page.entries.map((entry) => entry.key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** A router over memory stores and what each of them holds of namespace "n". */
async function routed(rules: (stores: Record<"small" | "other" | "home", MemoryStore>) => RouteRule[]) {
  const stores = {
    small: new MemoryStore({ name: "small" }),
    other: new MemoryStore({ name: "other" }),
    home: new MemoryStore({ name: "home" }),
  };
  const router = new Router(rules(stores), stores.home);
  const namespace = await router.open("n", {});
  const held = async (name: keyof typeof stores) => keysOf(await stores[name].open("n", {}));
  return { router, namespace, stores, held };
}

describe("rules", () => {
  test("a namespace that one store takes is that store's own", async () => {
    const { router, stores } = await routed(({ other }) => [{ namespace: "theirs", store: other }]);
    expect(await router.open("theirs", {})).toBe(await stores.other.open("theirs", {}));
    expect(await router.open("n", {})).toBe(await stores.home.open("n", {}));
    expect(await stores.home.names()).toEqual(["n"]);
  });

  test("the first match wins", async () => {
    const { namespace, held } = await routed(({ small, other }) => [
      { maxBytes: 10, store: small },
      { match: (key) => key.startsWith("o"), store: other },
    ]);
    await put(namespace, "o1", 10);
    await put(namespace, "o2", 11);
    await put(namespace, "k", 11);
    expect(await held("small")).toEqual(["o1"]);
    expect(await held("other")).toEqual(["o2"]);
    expect(await held("home")).toEqual(["k"]);
    expect(await keysOf(namespace)).toEqual(["k", "o1", "o2"]);
  });

  test("every condition of a rule has to hold", async () => {
    const { namespace, held } = await routed(({ small }) => [
      { namespace: "n", minBytes: 5, maxBytes: "1KB", match: (key) => key === "k", store: small },
    ]);
    await put(namespace, "k", 4);
    expect(await held("small")).toEqual([]);
    await put(namespace, "k", 5);
    expect(await held("small")).toEqual(["k"]);
    await put(namespace, "k", 1025);
    expect(await held("small")).toEqual([]);
    await put(namespace, "other", 5);
    expect(await held("home")).toEqual(["k", "other"]);
  });

  test.each([
    ["no store", {}],
    ["something else as a store", { store: { get() {} } }],
    ["sizes that exclude each other", { minBytes: 10, maxBytes: 9, store: new NullStore() }],
    ["a size that is none", { maxBytes: "big", store: new NullStore() }],
    ["a match that is no function", { match: "k*", store: new NullStore() }],
  ])("a rule with %s is refused", (_, rule) => {
    expect(() => new Router([rule as RouteRule], new NullStore())).toThrow(
      expect.objectContaining({
        code: "ERR_QUIVER_BAD_OPTION",
        message: expect.stringContaining("routes[0]"),
      }),
    );
  });

  test("stores are counted, named and closed once each", async () => {
    const { router, stores, namespace } = await routed(({ small }) => [
      { maxBytes: 10, store: small },
      { maxBytes: 20, store: small },
    ]);
    await put(namespace, "a", 5);
    await put(namespace, "b", 500);
    expect(router.stores).toEqual([stores.small, stores.home]);
    expect(router.usage()).toMatchObject({ entries: 2, bytes: 505 });
    expect(await router.names()).toEqual(["n"]);
    await router.close();
    await expect(stores.small.names()).rejects.toMatchObject({ code: "ERR_QUIVER_CLOSED" });
    await expect(stores.home.names()).rejects.toMatchObject({ code: "ERR_QUIVER_CLOSED" });
  });

  test("a store that can't be closed does not keep the others open", async () => {
    const failing = new NullStore();
    failing.close = () => Promise.reject(new Error("stuck"));
    const home = new MemoryStore();
    const router = new Router([{ maxBytes: 1, store: failing }], home);
    await expect(router.close()).rejects.toThrow("stuck");
    await expect(home.names()).rejects.toMatchObject({ code: "ERR_QUIVER_CLOSED" });
  });
});

describe("one namespace over several stores", () => {
  const bySize = () => routed(({ small }) => [{ maxBytes: 10, store: small }]);

  test("a value is found wherever it lies, and moves with its size", async () => {
    const { namespace, held } = await bySize();
    for (const size of [5, 500, 3, 700]) {
      await put(namespace, "k", size);
      expect((await namespace.get("k"))?.bytes.byteLength).toBe(size);
      expect(namespace.getSync?.("k")?.bytes.byteLength).toBe(size);
      expect((await namespace.info("k"))?.size).toBe(size);
      expect(await held("small")).toEqual(size <= 10 ? ["k"] : []);
      expect(await held("home")).toEqual(size <= 10 ? [] : ["k"]);
    }
    expect(await namespace.delete("k")).toBe(true);
    expect(await namespace.delete("k")).toBe(false);
  });

  test("a value of unknown size goes where no size is asked", async () => {
    const { namespace, held } = await bySize();
    await put(namespace, "k", 5);
    const writer = await namespace.writer("k", { extension: "dat" });
    await writer.write(new Uint8Array(3));
    expect(await held("small")).toEqual(["k"]);
    await writer.commit(facts);
    expect(await held("small")).toEqual([]);
    expect(await held("home")).toEqual(["k"]);
  });

  test("writes on one key take effect in call order across stores", async () => {
    const { namespace, held } = await bySize();
    for (const sizes of [
      [5, 500],
      [500, 5],
      [5, 500, 6, 600, 7],
    ]) {
      await Promise.all(sizes.map((size) => put(namespace, "k", size)));
      expect((await namespace.get("k"))?.bytes.byteLength).toBe(sizes.at(-1));
      expect((await held("small")).length + (await held("home")).length).toBe(1);
    }
  });

  test("a write that waits for another has its bytes already", async () => {
    const { namespace } = await bySize();
    const bytes = new Uint8Array(500).fill(1);
    const pending = [put(namespace, "k", 5), namespace.set("k", { parts: [bytes], byteLength: 500 }, facts)];
    bytes.fill(2);
    await Promise.all(pending);
    expect((await namespace.get("k"))?.bytes[499]).toBe(1);
  });

  test("a failing write does not block its key", async () => {
    const small = new MemoryStore({ maxSize: 300 });
    const namespace = await new Router([{ maxBytes: 400, store: small }], new MemoryStore()).open("n", {});
    const results = await Promise.allSettled([put(namespace, "k", 390), put(namespace, "k", 500)]);
    expect(results.map((result) => result.status)).toEqual(["rejected", "fulfilled"]);
    expect((await namespace.get("k"))?.bytes.byteLength).toBe(500);
  });

  test("values held from the last store know when the key moved away; others are not held", async () => {
    const { namespace } = await bySize();
    await put(namespace, "k", 500);
    const { stamps } = namespace.coherence as { stamps: Uint32Array };
    const value = await namespace.get("k");
    expect(stamps[value?.slot ?? 0]).toBe(value?.stamp);
    await put(namespace, "k", 5);
    expect(stamps[value?.slot ?? 0]).not.toBe(value?.stamp);
    expect((await namespace.get("k"))?.slot).toBe(0xffff_ffff);
    expect(namespace.getSync?.("k")?.slot).toBe(0xffff_ffff);
  });

  test("pages are merged in order, a key in two stores once, from the first", async () => {
    const { namespace, stores } = await bySize();
    const keys = ["a", "b", "\uffff", "\u{10000}", "c", "d", "e"];
    for (const [index, key] of keys.entries()) await put(namespace, key, index % 3 === 0 ? 500 : 5);
    // As a process leaves it that dies between storing a value and deleting the one it replaces.
    await put(await stores.small.open("n", {}), "a", 7);
    for (const limit of [1, 2, 3, 100]) {
      expect(await keysOf(namespace, limit)).toEqual(["a", "b", "c", "d", "e", "\uffff", "\u{10000}"]);
    }
    expect((await namespace.list({ limit: 1 })).entries[0]?.size).toBe(7);
    expect(await namespace.delete("a")).toBe(true);
    expect(await namespace.has("a")).toBe(false);
  });

  test("a store that gives shorter pages than asked for hides no key of the others", async () => {
    const slow = new MemoryStore();
    const open = slow.open.bind(slow);
    slow.open = async (...args) => {
      const inner = await open(...args);
      const list = inner.list.bind(inner);
      inner.list = (options) => list({ ...options, limit: 1 });
      return inner;
    };
    const namespace = await new Router([{ maxBytes: 10, store: slow }], new MemoryStore()).open("n", {});
    for (const key of ["a", "c", "e", "g"]) await put(namespace, key, 5);
    for (const key of ["b", "d", "f"]) await put(namespace, key, 500);
    expect(await keysOf(namespace, 100)).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("touch, tags, expire and clear reach every store", async () => {
    const { namespace } = await bySize();
    await put(namespace, "a", 5, { tags: ["t"] });
    await put(namespace, "b", 500, { tags: ["t"] });
    await put(namespace, "c", 5, { expiresAt: 1 });
    await put(namespace, "d", 500, { expiresAt: 1 });
    expect((await namespace.touch("a", { priority: 2 }))?.priority).toBe(2);
    expect((await namespace.touch("b", { priority: 3 }))?.priority).toBe(3);
    expect(await namespace.touch("z", { priority: 3 })).toBe(undefined);
    expect(await namespace.expire(Date.now())).toBe(2);
    expect(namespace.usage()).toMatchObject({ entries: 2, bytes: 505 });
    expect(await namespace.deleteByTag("t")).toBe(2);
    await put(namespace, "a", 5);
    await put(namespace, "b", 500);
    expect(await namespace.clear()).toBe(2);
    expect(await keysOf(namespace)).toEqual([]);
  });

  test("a fence goes only to the store that gave it", async () => {
    const fences: unknown[] = [];
    const watched = (store: MemoryStore, flights: boolean): MemoryStore => {
      const open = store.open.bind(store);
      store.open = async (...args) => {
        const inner = await open(...args);
        const set = inner.set.bind(inner);
        inner.set = (key, value, given) => {
          fences.push(given.fence);
          return set(key, value, given);
        };
        if (flights) inner.flight = async () => ({ fence: 7, release: () => undefined });
        return inner;
      };
      return store;
    };
    const small = watched(new MemoryStore(), false);
    const namespace = await new Router(
      [{ maxBytes: 10, store: small }],
      watched(new MemoryStore(), true),
    ).open("n", {});
    const flight = await namespace.flight?.("k", { timeout: 1 });
    expect(flight?.fence).toBe(7);
    await put(namespace, "k", 5, { fence: 7 });
    await put(namespace, "k", 500, { fence: 7 });
    expect(fences).toEqual([undefined, 7]);
  });

  test("without a synchronous store there is no getSync", async () => {
    const slow = new MemoryStore();
    const open = slow.open.bind(slow);
    slow.open = async (...args) => Object.assign(Object.create(await open(...args)), { getSync: undefined });
    const namespace = await new Router([{ maxBytes: 10, store: slow }], new MemoryStore()).open("n", {});
    expect(namespace.getSync).toBe(undefined);
  });
});
