/** A Redis server that dies, hangs, fills up and forgets, under callers who only want their results. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  Cache,
  type Logger,
  MemoryStore,
  RedisStore,
  type RedisStoreOptions,
  type Store,
  TieredStore,
} from "../../src/index.ts";
import { hasRedis, RedisServer } from "../servers/redis.ts";

let server: RedisServer;
let rejections: unknown[] = [];
const noteRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(() => {
  rejections = [];
  process.on("unhandledRejection", noteRejection);
});

afterEach(async () => {
  await server?.stop();
  process.off("unhandledRejection", noteRejection);
  expect(rejections).toEqual([]);
});

function quiet(): Logger & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  return { warnings, debug: ignore, info: ignore, error: ignore, warn: (text) => void warnings.push(text) };
}

/** Waits as long as a test does, so that a loaded machine decides nothing. */
function connect(more: RedisStoreOptions = {}): Promise<RedisStore> {
  return RedisStore.open({ socketPath: server.socketPath, timeout: "60s", logger: quiet(), ...more });
}

/** Gives up soon, for servers that don't answer. */
function impatient(): Promise<RedisStore> {
  return connect({ timeout: 300 });
}

async function cacheOn(store: Store): Promise<Cache> {
  return Cache.open(undefined, { store, logger: quiet() });
}

/** Asks until a value is kept on the server again; the test's own time limit ends it. */
async function untilKept(cache: Cache, redis: RedisServer): Promise<void> {
  const namespace = cache.namespace<string>("again");
  for (let round = 0; ; round++) {
    await namespace.getOrCompute(`probe ${round}`, () => "kept");
    if (redis.command("EXISTS", `quiver:{again}:value:probe ${round}`) === "1") return;
    await sleep(20);
  }
}

/**
 * Callers who ask for results one after the other until told to stop; each must get the right one, through
 * getOrCompute and through a memoised function, whose results run out so soon that they are computed again and again.
 */
function load(cache: Cache): { stop(): Promise<number> } {
  const namespace = cache.namespace<string>("load");
  const memoized = cache.memoize(async (key: string) => `value of ${key}`, {
    namespace: "memoized",
    ttl: 100,
    staleTtl: 50,
  });
  let stopped = false;
  let answered = 0;
  const callers = Array.from({ length: 8 }, async (_, caller) => {
    for (let round = 0; !stopped; round++) {
      const key = `${(caller + round) % 40}`;
      const asked = caller % 2 === 0 ? memoized(key) : namespace.getOrCompute(key, () => `value of ${key}`);
      expect(await asked).toBe(`value of ${key}`);
      answered++;
      await sleep(1);
    }
  });
  return {
    stop: async () => {
      stopped = true;
      await Promise.all(callers);
      return answered;
    },
  };
}

describe.skipIf(!hasRedis)("Redis under load", () => {
  const faults: Record<string, (during: RedisServer) => Promise<void>> = {
    "killed and started again, empty": async (redis) => {
      await redis.kill();
      await sleep(300);
      await redis.restart();
    },
    "hanging for a while": async (redis) => {
      redis.suspend();
      await sleep(800);
      redis.resume();
    },
    flushed: async (redis) => {
      for (let round = 0; round < 10; round++) {
        redis.command("FLUSHALL");
        redis.command("SCRIPT", "FLUSH");
        await sleep(20);
      }
    },
    "full, without eviction": async (redis) => {
      redis.command("CONFIG", "SET", "maxmemory", "1mb");
      await sleep(200);
      redis.command("CONFIG", "SET", "maxmemory", "0");
    },
    "with its clients cut off": async (redis) => {
      for (let round = 0; round < 5; round++) {
        redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await sleep(50);
      }
    },
  };

  const caches: Record<string, () => Promise<Cache>> = {
    redis: async () => cacheOn(await impatient()),
    "memory over redis": async () => cacheOn(await TieredStore.open([new MemoryStore(), await impatient()])),
    "a lenient cache on redis": async () =>
      Cache.open(undefined, { store: await impatient(), onError: "miss", logger: quiet() }),
  };

  for (const [kind, open] of Object.entries(caches)) {
    for (const [name, fault] of Object.entries(faults)) {
      test(`${kind}, ${name}: every caller gets its result, and values are kept again afterwards`, async () => {
        server = await RedisServer.start();
        await using cache = await open();
        const callers = load(cache);
        await sleep(50);
        await fault(server);
        await untilKept(cache, server);
        expect(await callers.stop()).toBeGreaterThan(0);
      });
    }
  }

  test("a server that comes late is used once it is there", async () => {
    server = await RedisServer.start();
    await server.kill();
    const store = await impatient();
    await using cache = await cacheOn(store);
    const namespace = cache.namespace<string>("late", { ttl: "1h" });
    expect(await namespace.getOrCompute("k", () => "computed")).toBe("computed");
    await expect(namespace.get("k")).rejects.toMatchObject({ code: "ERR_QUIVER_UNREACHABLE" });
    await server.restart();
    await untilKept(cache, server);
    // A loaded machine may pass its time budget now and then.
    await expect.poll(() => store.names().catch(() => [])).toContain("late");
    const facts = () => namespace.set("k", "v").catch(() => undefined);
    await expect.poll(async () => (await facts())?.expiresAt).toBeGreaterThan(Date.now());
  });

  test("a hanging server costs one time budget, not one for each call", async () => {
    server = await RedisServer.start();
    const store = await connect({ timeout: 1000 });
    const namespace = await store.open("n", {});
    server.suspend();
    await expect(namespace.get("k")).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
    for (let call = 0; call < 100; call++) {
      await expect(namespace.get("k")).rejects.toMatchObject({ code: "ERR_QUIVER_UNREACHABLE" });
    }
    server.resume();
    while ((await namespace.get("k").catch(() => "away")) === "away") await sleep(10);
    await store.close();
  });

  test("a read that waits behind a write that fails, fails with it, once", async () => {
    server = await RedisServer.start();
    const store = await impatient();
    const namespace = await store.open("n", {});
    const facts = { codec: "bin", extension: "dat", expiresAt: null };
    server.suspend();
    const write = namespace.set("k", { parts: [Buffer.from("v")], byteLength: 1 }, facts);
    const read = namespace.get("k");
    await expect(write).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
    await expect(read).rejects.toMatchObject({ code: "ERR_QUIVER_UNREACHABLE" });
    // A rejection that nobody has heard is told of in the next turn, and fails this test at its end.
    await sleep(0);
    server.resume();
    await store.close();
  });

  test("a write that the server gets to after its time budget is void", async () => {
    server = await RedisServer.start();
    const store = await connect({ timeout: 1000 });
    const other = await connect();
    const [slow, quick] = [await store.open("n", {}), await other.open("n", {})];
    const facts = { codec: "bin", extension: "dat", expiresAt: null };
    const value = (text: string) => ({ parts: [Buffer.from(text)], byteLength: text.length });
    server.suspend();
    await expect(slow.set("k", value("late"), facts)).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
    server.resume();
    await quick.set("k", value("new"), facts);
    await sleep(50);
    expect(String(Buffer.from((await quick.get("k"))?.bytes ?? []))).toBe("new");
    await Promise.all([store.close(), other.close()]);
  });

  test("a full server refuses with a reason, still reads and still deletes", async () => {
    server = await RedisServer.start("--maxmemory", "4mb", "--maxmemory-policy", "noeviction");
    const store = await connect();
    const namespace = await store.open("n", {});
    const facts = { codec: "bin", extension: "dat", expiresAt: null };
    const value = { parts: [new Uint8Array(500_000)], byteLength: 500_000 };
    let stored = 0;
    let error: unknown;
    while (error === undefined && stored < 100) {
      await namespace.set(`k${stored}`, value, facts).then(
        () => stored++,
        (reason) => {
          error = reason;
        },
      );
    }
    expect(error).toMatchObject({ code: "ERR_QUIVER_DISK_FULL" });
    expect(namespace.usage().entries).toBe(stored);
    expect((await namespace.get("k0"))?.bytes.byteLength).toBe(500_000);
    for (let index = 0; index < stored; index++) expect(await namespace.delete(`k${index}`)).toBe(true);
    expect(namespace.usage()).toEqual({ entries: 0, bytes: 0, allocated: 0 });
    await namespace.set("k", value, facts);
    await store.close();
  });

  test("what the server evicts by itself is missing and leaves the indexes", async () => {
    server = await RedisServer.start("--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru");
    const store = await connect();
    const namespace = await store.open("n", {});
    const facts = { codec: "bin", extension: "dat", expiresAt: Date.now() + 3_600_000, tags: ["t"] };
    const value = { parts: [new Uint8Array(100_000)], byteLength: 100_000 };
    for (let index = 0; index < 100; index++) await namespace.set(`k${index}`, value, facts);
    const description = await store.describe();
    // It goes on evicting as long as it is full.
    server.command("CONFIG", "SET", "maxmemory", "0");
    await namespace.expire(Date.now());
    const { entries } = await namespace.list({ limit: 1000 });
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.length).toBeLessThan(100);
    expect(namespace.usage().entries).toBe(entries.length);
    expect(description.evicted).toBeGreaterThan(0);
    expect(description.maxMemory).toBe(4 * 1024 * 1024);
    expect(description.maxMemoryPolicy).toBe("volatile-lru");
    await store.close();
  });

  test("a policy that may evict indexes is warned of, and their loss loses entries only", async () => {
    server = await RedisServer.start("--maxmemory-policy", "allkeys-lru");
    const logger = quiet();
    const store = await connect({ logger });
    const namespace = await store.open("n", {});
    await expect.poll(() => logger.warnings.join()).toContain("allkeys-lru");
    const facts = { codec: "bin", extension: "dat", expiresAt: null, tags: ["t"] };
    const value = { parts: [Buffer.from("v")], byteLength: 1 };
    await namespace.set("k", value, facts);
    server.command("DEL", "quiver:{n}:facts");
    expect(await namespace.get("k")).toBeUndefined();
    expect((await namespace.list({ limit: 10 })).entries).toEqual([]);
    expect(await namespace.clear()).toBe(0);
    await namespace.set("k", value, facts);
    expect(await namespace.deleteByTag("t")).toBe(1);
    await store.close();
  });

  test("foreign bytes under our names are misses", async () => {
    server = await RedisServer.start();
    const store = await connect();
    const namespace = await store.open("n", {});
    const facts = { codec: "bin", extension: "dat", expiresAt: null };
    await namespace.set("k", { parts: [Buffer.from("v")], byteLength: 1 }, facts);
    server.command("SET", "quiver:{n}:value:k", "something else");
    expect(await namespace.get("k")).toBeUndefined();
    server.command("HSET", "quiver:{n}:facts", "k", "[1,2");
    expect(await namespace.get("k")).toBeUndefined();
    expect(await namespace.info("k")).toBeUndefined();
    expect((await namespace.list({ limit: 10 })).entries).toEqual([]);
    await namespace.set("k", { parts: [Buffer.from("v")], byteLength: 1 }, facts);
    expect((await namespace.get("k"))?.bytes.byteLength).toBe(1);
    await store.close();
  });
});

describe.skipIf(!hasRedis)("Redis between processes", () => {
  test("one of two caches computes, the other one waits for it", async () => {
    server = await RedisServer.start();
    await using left = await cacheOn(await connect());
    await using right = await cacheOn(await connect());
    let computed = 0;
    const compute = async (): Promise<string> => {
      computed++;
      await sleep(150);
      return "value";
    };
    const results = await Promise.all(
      [left, right].map((cache) => cache.namespace<string>("n").getOrCompute("k", compute)),
    );
    expect(results).toEqual(["value", "value"]);
    expect(computed).toBe(1);
  });

  test("a flight that was overtaken writes nothing", async () => {
    server = await RedisServer.start();
    const store = await connect();
    const namespace = await store.open("n", {});
    const first = await namespace.flight?.("k", { timeout: 0 });
    expect(await namespace.flight?.("k", { timeout: 30 })).toBeUndefined();
    server.command("DEL", "quiver:{n}:flight:k");
    const second = await namespace.flight?.("k", { timeout: 0 });
    expect(second?.fence).toBeGreaterThan(first?.fence ?? 0);
    const write = (text: string, fence: number | undefined) =>
      namespace.set(
        "k",
        { parts: [Buffer.from(text)], byteLength: text.length },
        {
          codec: "bin",
          extension: "dat",
          expiresAt: null,
          ...(fence !== undefined && { fence }),
        },
      );
    await write("second", second?.fence);
    await write("first", first?.fence);
    expect(String(Buffer.from((await namespace.get("k"))?.bytes ?? []))).toBe("second");
    first?.release();
    expect(await namespace.flight?.("k", { timeout: 0 })).toBeUndefined();
    second?.release();
    const third = await namespace.flight?.("k", { timeout: 1000 });
    expect(third).toBeDefined();
    await store.close();
  });

  test("a right that is given back while the server is away is free as soon as it is there again", async () => {
    server = await RedisServer.start();
    const store = await impatient();
    const other = await connect();
    const [mine, theirs] = [await store.open("n", {}), await other.open("n", {})];
    const held = await mine.flight?.("held", { timeout: 0 });
    expect(held).toBeDefined();
    server.suspend();
    // The server will grant this one, and nobody hears of it.
    const unheard = mine.flight?.("unheard", { timeout: 0 });
    await expect(unheard).rejects.toMatchObject({ code: "ERR_QUIVER_TIMEOUT" });
    held?.release();
    server.resume();
    // Much less than a lease, much more than a slow machine takes.
    for (const key of ["held", "unheard"]) {
      expect(await theirs.flight?.(key, { timeout: 5000 }), key).toBeDefined();
    }
    await Promise.all([store.close(), other.close()]);
  });

  test("waiting for a flight ends with its signal", async () => {
    server = await RedisServer.start();
    const store = await connect();
    const namespace = await store.open("n", {});
    await namespace.flight?.("k", { timeout: 0 });
    const controller = new AbortController();
    const waiting = namespace.flight?.("k", { timeout: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(waiting).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
    await store.close();
  });

  test("the server's own time to live is the entry's", async () => {
    server = await RedisServer.start();
    await using cache = await cacheOn(await connect());
    await cache.namespace("n").set("k", "v", { ttl: "1h" });
    const left = Number(server.command("PTTL", "quiver:{n}:value:k"));
    expect(left).toBeGreaterThan(3_500_000);
    expect(left).toBeLessThanOrEqual(3_600_000);
  });

  test("a route sends small values to Redis and large ones elsewhere", async () => {
    server = await RedisServer.start();
    const [redis, memory] = [await connect(), new MemoryStore()];
    await using cache = await Cache.open(undefined, {
      store: memory,
      routes: [{ maxBytes: "4KB", store: redis }],
      logger: quiet(),
    });
    const namespace = cache.namespace<string>("n");
    await namespace.set("small", "x");
    await namespace.set("large", "x".repeat(10_000));
    expect(redis.usage().entries).toBe(1);
    expect(memory.usage().entries).toBe(1);
    expect(await namespace.get("small")).toBe("x");
    await namespace.set("small", "x".repeat(10_000));
    expect(redis.usage().entries).toBe(0);
    expect(await namespace.get("small")).toHaveLength(10_000);
  });
});
