import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Cache, type Logger, MemoryStore, type Store, TieredStore } from "../../src/index.ts";
import { setClockForTests } from "../../src/shared/clock.ts";
import type { StoreNamespace } from "../../src/stores/store.ts";

const ignore = (): void => undefined;
const quiet: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A memory store whose operations fail, or wait, while the switch says so. */
class Breakable {
  readonly memory: MemoryStore = new MemoryStore();
  broken = false;
  held: Promise<void> | undefined;
  writes = 0;
  readonly store: Store;

  constructor() {
    const open = async (...args: Parameters<Store["open"]>): Promise<StoreNamespace> => {
      const target = await this.memory.open(...args);
      return new Proxy(target, {
        get: (namespace, name) => {
          const member: unknown = Reflect.get(namespace, name, namespace);
          if (typeof member !== "function" || name === "usage") return member;
          return async (...operands: unknown[]) => {
            if (name === "set") this.writes++;
            await this.held;
            if (this.broken) throw new Error("the tier is broken");
            return Reflect.apply(member, namespace, operands);
          };
        },
      });
    };
    this.store = new Proxy(this.memory, {
      get: (store, name) => {
        if (name === "open") return open;
        const member: unknown = Reflect.get(store, name, store);
        return typeof member === "function" ? member.bind(store) : member;
      },
    });
  }
}

const facts = { codec: "bin", extension: "dat", expiresAt: null };
const value = (text: string) => ({ parts: [Buffer.from(text)], byteLength: text.length });

async function textOf(namespace: StoreNamespace, key: string): Promise<string | undefined> {
  const found = await namespace.get(key);
  return found && Buffer.from(found.bytes).toString();
}

async function twoTiers(options: Parameters<typeof TieredStore.open>[1] = {}): Promise<{
  upper: StoreNamespace;
  lower: StoreNamespace;
  tiered: StoreNamespace;
  home: Breakable;
  store: TieredStore;
}> {
  const [memory, home] = [new MemoryStore(), new Breakable()];
  const store = await TieredStore.open([memory, home.store], { logger: quiet, ...options });
  const tiered = await store.open("n", {});
  return {
    store,
    tiered,
    home,
    upper: await memory.open("n", {}),
    lower: await home.memory.open("n", {}),
  };
}

describe("copies", () => {
  test("a write reaches all tiers; a look-up brings back what an upper one lost", async () => {
    const { tiered, upper, lower } = await twoTiers();
    await tiered.set("k", value("v"), { ...facts, tags: ["t"] });
    expect([await textOf(upper, "k"), await textOf(lower, "k")]).toEqual(["v", "v"]);
    await upper.clear();
    expect(await textOf(tiered, "k")).toBe("v");
    expect(await textOf(upper, "k")).toBe("v");
    expect(await tiered.deleteByTag("t")).toBe(1);
    expect(await textOf(upper, "k")).toBeUndefined();
  });

  test("a copy lives as long as the entry, and above a shared tier no longer than maxAge", async () => {
    let time = Date.now();
    const restore = setClockForTests(() => time);
    try {
      for (const [maxAge, believed] of [
        [null, 60_000],
        ["2s", 2000],
      ] as const) {
        const [memory, home] = [new MemoryStore(), new MemoryStore()];
        const store = await TieredStore.open([{ store: memory, maxAge }, home]);
        const tiered = await store.open("n", {});
        await tiered.set("k", value("v"), { ...facts, expiresAt: time + 60_000 });
        await (await memory.open("n", {})).clear();
        await tiered.get("k");
        expect((await tiered.get("k"))?.expiresAt).toBe(time + believed);
        expect((await tiered.info("k"))?.expiresAt).toBe(time + 60_000);
        await (await home.open("n", {})).set("k", value("by others"), facts);
        time += believed;
        expect(await textOf(tiered, "k")).toBe("by others");
        await store.close();
      }
    } finally {
      restore();
    }
  });

  test("a clear while a look-up is on its way back leaves no copy", async () => {
    const { tiered, upper, home } = await twoTiers();
    await tiered.set("k", value("old"), facts);
    await upper.clear();
    let release = ignore;
    home.held = new Promise((resolve) => {
      release = resolve;
    });
    const found = tiered.get("k");
    const cleared = tiered.clear();
    release();
    home.held = undefined;
    await Promise.all([found, cleared]);
    expect(await textOf(tiered, "k")).toBeUndefined();
  });

  test("one store, or the same twice, is refused", async () => {
    const memory = new MemoryStore();
    for (const tiers of [[], [memory], [memory, memory]]) {
      await expect(TieredStore.open(tiers)).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_OPTION" });
    }
  });
});

describe("a tier that fails", () => {
  test("look-ups and writes go on without it", async () => {
    const { tiered, home } = await twoTiers();
    await tiered.set("k", value("v"), facts);
    home.broken = true;
    expect(await textOf(tiered, "k")).toBe("v");
    expect(await textOf(tiered, "other")).toBeUndefined();
    await tiered.set("new", value("n"), facts);
    expect(await textOf(tiered, "new")).toBe("n");
  });

  test("what it missed never comes back from it", async () => {
    const { tiered, upper, lower, home } = await twoTiers();
    for (const key of ["replaced", "deleted", "settled"]) await tiered.set(key, value("old"), facts);
    home.broken = true;
    await tiered.set("replaced", value("new"), facts);
    await expect(tiered.delete("deleted")).rejects.toThrow("broken");
    await expect(tiered.delete("settled")).rejects.toThrow("broken");
    expect(await textOf(tiered, "deleted")).toBeUndefined();
    await upper.clear();
    home.broken = false;
    expect(await textOf(tiered, "replaced")).toBeUndefined();
    expect(await textOf(tiered, "deleted")).toBeUndefined();
    expect(await textOf(lower, "settled")).toBe("old");
    await tiered.expire(Date.now());
    expect(await textOf(lower, "settled")).toBeUndefined();
  });

  test("a clear that it missed is made before it is believed again", async () => {
    const { tiered, home } = await twoTiers();
    await tiered.set("k", value("old"), facts);
    home.broken = true;
    await expect(tiered.clear()).rejects.toThrow("broken");
    home.broken = false;
    expect(await textOf(tiered, "k")).toBeUndefined();
  });

  test("without any tier that works a write rejects, and getOrCompute still computes", async () => {
    const home = new Breakable();
    const upper = new Breakable();
    const store = await TieredStore.open([upper.store, home.store], { logger: quiet });
    await using cache = await Cache.open(undefined, { store, logger: quiet });
    const namespace = cache.namespace<string>("n");
    await namespace.set("k", "v");
    home.broken = true;
    upper.broken = true;
    await expect(namespace.set("k", "w")).rejects.toThrow("broken");
    expect(await namespace.getOrCompute("other", () => "computed")).toBe("computed");
  });
});

describe("write-behind", () => {
  test("a write is acknowledged by the first tier, and close writes the rest", async () => {
    const { tiered, store, lower, home } = await twoTiers({ write: "behind" });
    let release = ignore;
    home.held = new Promise((resolve) => {
      release = resolve;
    });
    await tiered.set("k", value("v"), facts);
    expect(await textOf(tiered, "k")).toBe("v");
    expect(await textOf(lower, "k")).toBeUndefined();
    release();
    await store.flush();
    expect(await textOf(lower, "k")).toBe("v");
    await tiered.set("last", value("l"), facts);
    const kept = textOf(lower, "last");
    await store.close();
    await kept;
    expect(home.writes).toBe(2);
  });

  test("of many writes on a key the last one is made, in the order of the calls", async () => {
    const { tiered, store, lower, home } = await twoTiers({ write: "behind" });
    let release = ignore;
    home.held = new Promise((resolve) => {
      release = resolve;
    });
    for (let round = 0; round < 50; round++) await tiered.set("k", value(`${round}`), facts);
    release();
    await store.flush();
    expect(await textOf(lower, "k")).toBe("49");
    expect(home.writes).toBe(2);
  });

  test("what waits is found when the first tier has lost it, and a delete takes it back", async () => {
    const { tiered, upper, lower, home } = await twoTiers({ write: "behind" });
    await tiered.set("k", value("v"), facts);
    await upper.clear();
    expect(await textOf(tiered, "k")).toBe("v");
    let release = ignore;
    home.held = new Promise((resolve) => {
      release = resolve;
    });
    await tiered.set("gone", value("v"), facts);
    const deleted = tiered.delete("gone");
    release();
    home.held = undefined;
    expect(await deleted).toBe(true);
    expect(await textOf(lower, "gone")).toBeUndefined();
    expect(await textOf(tiered, "gone")).toBeUndefined();
  });

  test("a full queue makes writers wait", async () => {
    const { tiered, store, home } = await twoTiers({ write: "behind", maxPending: 1000 });
    let release = ignore;
    home.held = new Promise((resolve) => {
      release = resolve;
    });
    await tiered.set("a", value("x".repeat(900)), facts);
    let acknowledged = false;
    const second = tiered.set("b", value("x".repeat(900)), facts).then(() => {
      acknowledged = true;
    });
    await sleep(20);
    expect(acknowledged).toBe(false);
    release();
    await second;
    await store.close();
  });

  test("a write that fails below stays above and is void below", async () => {
    const { tiered, upper, store, home } = await twoTiers({ write: "behind" });
    await tiered.set("k", value("old"), facts);
    await store.flush();
    home.broken = true;
    await tiered.set("k", value("new"), facts);
    await store.flush();
    home.broken = false;
    expect(await textOf(tiered, "k")).toBe("new");
    await upper.clear();
    expect(await textOf(tiered, "k")).toBeUndefined();
  });
});
