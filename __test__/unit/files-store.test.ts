/** What the store of self-describing files does beyond the contract of all stores. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache, FileStore, type FileStoreOptions, type Logger } from "../../src/index.ts";
import { setClockForTests } from "../../src/shared/clock.ts";
import { EntryFolder } from "../../src/stores/files/folder.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "quiver-files-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const FACTS = { codec: "text", extension: "txt", expiresAt: null };
const encoded = (text: string) => ({ parts: [Buffer.from(text)], byteLength: Buffer.byteLength(text) });
const open = (options: FileStoreOptions = {}) => FileStore.open(root, { durability: "process", ...options });
const textOf = async (namespace: Awaited<ReturnType<FileStore["open"]>>, key: string) => {
  const found = await namespace.get(key);
  return found && Buffer.from(found.bytes).toString();
};
const pathOf = (key: string) => {
  const name = createHash("sha256").update(key).digest("hex");
  return join(root, "n", "data", name.slice(0, 2), name.slice(2, 4), `${name}.qv`);
};
const unfinished = () => readdir(join(root, "n", "tmp"));

describe("the file of an entry", () => {
  test("is as docs/format.md describes it", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await namespace.set("a key", encoded("the value"), {
      ...FACTS,
      tags: ["t"],
      expiresAt: 4_000_000_000_000,
    });
    const file = await readFile(pathOf("a key"));
    expect(file.subarray(0, 8).toString("latin1")).toBe("QVFILE1\n");
    const length = file.readUInt32LE(8);
    const offset = file.readUInt32LE(12);
    const header = file.subarray(24, 24 + length);
    expect(createHash("sha256").update(header).digest().subarray(0, 8)).toEqual(file.subarray(16, 24));
    expect(offset % 64).toBe(0);
    expect(file.subarray(offset).toString()).toBe("the value");
    const { key, record } = JSON.parse(header.toString());
    expect(key).toBe("a key");
    expect(record).toMatchObject({ size: 9, codec: "text", tags: ["t"], expiresAt: 4_000_000_000_000 });
    expect(record.digest).toBe(`sha256:${createHash("sha256").update("the value").digest("hex")}`);
    await store.close();
  });

  test("may be deleted by hand", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await namespace.set("k", encoded("v"), FACTS);
    await rm(pathOf("k"));
    expect(await namespace.get("k")).toBeUndefined();
    expect((await namespace.list({ limit: 10 })).entries).toEqual([]);
    await namespace.set("k", encoded("again"), FACTS);
    expect(await textOf(namespace, "k")).toBe("again");
    await store.close();
  });

  const damages: Record<string, (file: Buffer) => Buffer> = {
    empty: () => Buffer.alloc(0),
    "cut in its prefix": (file) => file.subarray(0, 10),
    "cut in its header": (file) => file.subarray(0, 100),
    "cut in its value": (file) => file.subarray(0, -1),
    "too long": (file) => Buffer.concat([file, Buffer.alloc(1)]),
    "of other bytes": () => Buffer.from("something that another program has left here"),
    "changed in its header": (file) => Buffer.from(file).fill("x", 40, 41),
    "with a header beyond all bounds": (file) => {
      const changed = Buffer.from(file);
      changed.writeUInt32LE(0xffffffff, 8);
      return changed;
    },
    "with a value beyond its end": (file) => {
      const changed = Buffer.from(file);
      changed.writeUInt32LE(0xffffffff, 12);
      return changed;
    },
  };
  for (const [damage, inflict] of Object.entries(damages)) {
    test(`${damage}: it is refused, listed nowhere, and may be replaced and deleted`, async () => {
      const store = await open();
      const namespace = await store.open("n", {});
      await namespace.set("k", encoded("v".repeat(100)), FACTS);
      await writeFile(pathOf("k"), inflict(await readFile(pathOf("k"))));
      await expect(namespace.get("k")).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT", key: "k" });
      await expect(namespace.info("k")).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
      expect((await namespace.list({ limit: 10 })).entries).toEqual([]);
      await namespace.set("k", encoded("new"), FACTS);
      expect(await textOf(namespace, "k")).toBe("new");
      await writeFile(pathOf("k"), inflict(await readFile(pathOf("k"))));
      expect(await namespace.delete("k")).toBe(true);
      expect(await namespace.get("k")).toBeUndefined();
      await store.close();
    });
  }

  test("with another value in it is refused by its digest", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await namespace.set("k", encoded("value"), FACTS);
    const file = await readFile(pathOf("k"));
    file[file.length - 1] = 0;
    await writeFile(pathOf("k"), file);
    await expect(namespace.get("k")).rejects.toMatchObject({ code: "ERR_QUIVER_CHECKSUM_MISMATCH" });
    await store.close();
  });

  test("of another key in its place is refused", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await namespace.set("a", encoded("a's"), FACTS);
    await namespace.set("b", encoded("b's"), FACTS);
    await writeFile(pathOf("b"), await readFile(pathOf("a")));
    await expect(namespace.get("b")).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
    await store.close();
  });

  test("of a large streamed value has its header before it, whatever the facts take", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    const chunk = Buffer.alloc(600_000, 7);
    for (const [key, metadata] of Object.entries({ few: {}, many: { text: "x".repeat(200_000) } })) {
      const writer = await namespace.writer(key, { extension: "dat" });
      for (let count = 0; count < 3; count++) await writer.write(chunk);
      await writer.commit({ ...FACTS, metadata });
      expect((await namespace.get(key))?.bytes.byteLength).toBe(1_800_000);
      expect((await namespace.info(key))?.metadata).toEqual(metadata);
    }
    expect(await unfinished()).toEqual([]);
    await store.close();
  });
});

test("what was replaced before it is removed stays", async () => {
  const store = await open();
  const namespace = await store.open("n", {});
  await namespace.set("k", encoded("new"), FACTS);
  const folder = new EntryFolder(join(root, "n"), false);
  expect(await folder.removeIf({ path: pathOf("k"), record: { revision: "0000000000000000" } })).toBe(false);
  expect(await textOf(namespace, "k")).toBe("new");
  const found = await folder.header("k");
  expect(found && (await folder.removeIf(found))).toBe(true);
  expect(await namespace.get("k")).toBeUndefined();
  expect(await unfinished()).toEqual([]);
  await store.close();
});

describe("several stores on one folder", () => {
  test("see each other's entries, removals and settings", async () => {
    const [left, right] = [await open(), await open()];
    const [a, b] = [await left.open("n", { ttl: 5000 }), await right.open("n", {})];
    expect(b.settings.ttl).toBe(5000);
    await a.set("k", encoded("1"), FACTS);
    expect(await textOf(b, "k")).toBe("1");
    await b.set("k", encoded("2"), FACTS);
    expect(await textOf(a, "k")).toBe("2");
    await a.clear();
    expect(await b.get("k")).toBeUndefined();
    await b.set("k", encoded("3"), FACTS);
    expect(await textOf(a, "k")).toBe("3");
    expect(await left.names()).toEqual(["n"]);
    await Promise.all([left.close(), right.close()]);
  });

  test("what others wrote is counted by the next walk, and known to who opens after it", async () => {
    const [left, right] = [await open(), await open()];
    const [a, b] = [await left.open("n", {}), await right.open("n", {})];
    for (let index = 0; index < 5; index++) await a.set(`k${index}`, encoded("12345"), FACTS);
    expect(b.usage().entries).toBe(0);
    await b.expire(Date.now());
    expect(b.usage()).toMatchObject({ entries: 5, bytes: 25 });
    await Promise.all([left.close(), right.close()]);
    const later = await open();
    expect((await later.open("n", {})).usage()).toMatchObject({ entries: 5, bytes: 25 });
    await later.close();
    await writeFile(join(root, "n", "usage.json"), "[nothing]");
    const last = await open();
    expect((await last.open("n", {})).usage()).toMatchObject({ entries: 5, bytes: 25 });
    await last.close();
  });

  test("clear under writes loses no later one and leaves nothing behind", async () => {
    const [left, right] = [await open(), await open()];
    const [a, b] = [await left.open("n", {}), await right.open("n", {})];
    const writes = (async () => {
      for (let index = 0; index < 200; index++) await a.set(`k${index % 10}`, encoded(`${index}`), FACTS);
    })();
    const clears = (async () => {
      for (let round = 0; round < 20; round++) await Promise.all([b.clear(), b.clear()]);
    })();
    await Promise.all([writes, clears]);
    await a.set("last", encoded("stays"), FACTS);
    expect(await textOf(b, "last")).toBe("stays");
    expect(await unfinished()).toEqual([]);
    await Promise.all([left.close(), right.close()]);
  });

  test("names that differ only in case are different namespaces", async () => {
    const store = await open();
    const [upper, lower] = [await store.open("Name", {}), await store.open("name", {})];
    await upper.set("k", encoded("upper"), FACTS);
    expect(await lower.get("k")).toBeUndefined();
    expect(await store.names()).toEqual(["Name", "name"]);
    const folders = (await readdir(root)).map((name) => name.toLowerCase());
    expect(new Set(folders).size).toBe(folders.length);
    await store.close();
  });
});

describe("locks", () => {
  const holding = async (pid: number, start: string): Promise<string> => {
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "latin1")).trim();
    return `1\n${boot} ${await readlink("/proc/self/ns/pid")} ${pid} ${start}\n`;
  };
  const lockOf = (key: string) => join(root, "n", "locks", createHash("sha256").update(key).digest("hex"));

  test("one has the lock, the others wait; what an overtaken one writes is dropped", async () => {
    const [left, right] = [await open(), await open()];
    const [a, b] = [await left.open("n", {}), await right.open("n", {})];
    const first = await a.flight?.("k", { timeout: 0 });
    expect(await b.flight?.("k", { timeout: 30 })).toBeUndefined();
    await rm(lockOf("k"));
    const second = await b.flight?.("k", { timeout: 0 });
    await b.set("k", encoded("second"), { ...FACTS, ...(second && { fence: second.fence }) });
    await a.set("k", encoded("first"), { ...FACTS, ...(first && { fence: first.fence }) });
    expect(await textOf(a, "k")).toBe("second");
    first?.release();
    expect(await a.flight?.("k", { timeout: 30 })).toBeUndefined();
    second?.release();
    const third = await a.flight?.("k", { timeout: 10_000 });
    expect(third).toBeDefined();
    third?.release();
    await Promise.all([left.close(), right.close()]);
  });

  test("of a process of this host that has ended is free at once", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await writeFile(lockOf("k"), await holding(process.pid, "1"));
    expect(await namespace.flight?.("k", { timeout: 0 })).toBeDefined();
    await writeFile(lockOf("j"), await holding(0x7fffffff, "1"));
    expect(await namespace.flight?.("j", { timeout: 0 })).toBeDefined();
    expect(await unfinished()).toEqual([]);
    await store.close();
  });

  test("that nobody holds any more goes to one of those who wait", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    for (let round = 0; round < 20; round++) {
      const key = `k${round}`;
      await writeFile(lockOf(key), await holding(process.pid, "1"));
      const claims = Array.from({ length: 10 }, () => namespace.flight?.(key, { timeout: 0 }));
      const held = (await Promise.all(claims)).filter((flight) => flight !== undefined);
      expect(held).toHaveLength(1);
      held[0]?.release();
    }
    await store.close();
  });

  test("of another host is waited for until its lease has ended", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    await writeFile(lockOf("k"), "1\nanother-boot pid:[1] 1 1\n");
    expect(await namespace.flight?.("k", { timeout: 30 })).toBeUndefined();
    const before = new Date(Date.now() - 11_000);
    await utimes(lockOf("k"), before, before);
    expect(await namespace.flight?.("k", { timeout: 0 })).toBeDefined();
    await store.close();
  });

  test("waiting ends with its signal", async () => {
    const store = await open();
    const namespace = await store.open("n", {});
    const held = await namespace.flight?.("k", { timeout: 0 });
    const controller = new AbortController();
    const waiting = namespace.flight?.("k", { timeout: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(waiting).rejects.toMatchObject({ code: "ERR_QUIVER_ABORTED" });
    held?.release();
    await store.close();
  });
});

describe("opening", () => {
  test("removes what processes that died an hour ago left behind", async () => {
    await (await (await open()).open("n", {})).set("k", encoded("v"), FACTS);
    const [old, young] = [join(root, "n", "tmp", "old"), join(root, "n", "tmp", "young")];
    await mkdir(old);
    await writeFile(join(old, "file"), "x");
    await writeFile(young, "x");
    const before = new Date(Date.now() - 2 * 3_600_000);
    await utimes(old, before, before);
    await (await open()).open("n", {});
    expect(await unfinished()).toEqual(["young"]);
  });

  test("refuses the format of another version", async () => {
    await writeFile(join(root, "files.json"), '{"layout":2}');
    await expect(open()).rejects.toMatchObject({ code: "ERR_QUIVER_FORMAT_VERSION" });
    await writeFile(join(root, "files.json"), "nothing");
    await expect(open()).rejects.toMatchObject({ code: "ERR_QUIVER_FORMAT_VERSION" });
  });

  test("to read only makes and changes nothing", async () => {
    await expect(FileStore.open(join(root, "none"), { mode: "read-only" })).rejects.toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
    });
    const writing = await open();
    await (await writing.open("n", {})).set("k", encoded("v"), FACTS);
    await writing.close();
    const before = new Date(Date.now() - 2 * 3_600_000);
    await utimes(pathOf("k"), before, before);
    const names = (await readdir(root, { recursive: true })).sort();
    const reading = await open({ mode: "read-only" });
    expect(await textOf(await reading.open("n", {}), "k")).toBe("v");
    expect(await (await reading.open("other", {})).get("k")).toBeUndefined();
    await reading.close();
    expect((await readdir(root, { recursive: true })).sort()).toEqual(names);
    expect((await stat(pathOf("k"))).mtimeMs).toBeCloseTo(before.getTime(), 0);
  });
});

test("the time of use is kept to the minute and decides who is evicted", async () => {
  let time = Date.now();
  const restore = setClockForTests(() => time);
  try {
    const store = await open();
    const namespace = await store.open("n", {});
    for (const key of ["a", "b", "c"]) await namespace.set(key, encoded(key), FACTS);
    for (const key of ["a", "c", "b"]) {
      time += 120_000;
      await namespace.get(key);
      await expect.poll(async () => (await namespace.info(key))?.lastAccessed).toBeCloseTo(time, -1);
    }
    const goal = { allocated: 0, entries: 1 };
    const scan = await store.evictionScan({ goal });
    const columns = await scan.next(10);
    scan.offer(Float64Array.from(columns?.lastAccess ?? []));
    expect((await scan.evict(goal)).sample).toEqual([{ namespace: "n", key: "a" }]);
    await store.close();
  } finally {
    restore();
  }
});

describe("Cache.open", () => {
  const notes = () => {
    const texts: string[] = [];
    const note = (text: string): void => void texts.push(text);
    const logger: Logger = { debug: note, info: note, warn: note, error: note };
    return { texts, logger };
  };

  test("keeps files where it is told to, says so once, and goes on with them", async () => {
    const { texts, logger } = notes();
    for (let round = 0; round < 2; round++) {
      await using cache = await Cache.open(root, { catalog: "never", logger });
      expect(cache.describe().stores[0]?.name).toBe("files");
      const namespace = cache.namespace<string>("n");
      expect(await namespace.getOrCompute("k", () => "computed")).toBe("computed");
      expect(await namespace.get("k")).toBe("computed");
    }
    expect(texts.filter((text) => text.includes("without a catalog"))).toHaveLength(1);
    expect(existsSync(join(root, ".quiver"))).toBe(false);
    await using cache = await Cache.open(root, { logger });
    expect(cache.describe().stores[0]?.name).toBe("files");
    expect(await cache.namespace("n").get("k")).toBe("computed");
  });

  test("keeps a catalog on a local file system", async () => {
    await using cache = await Cache.open(root, { logger: notes().logger });
    expect(cache.describe().stores[0]?.name).toBe("local");
  });

  test("keeps within its limit, by time of use", async () => {
    const { logger } = notes();
    await using cache = await Cache.open(root, {
      catalog: "never",
      maxEntries: 10,
      logger,
      durability: "process",
    });
    const namespace = cache.namespace<string>("n");
    for (let index = 0; index < 40; index++) await namespace.set(`k${index}`, `${index}`);
    await cache.evict();
    const { entries } = await cache.stats();
    expect(entries).toBeGreaterThan(0);
    expect(entries).toBeLessThanOrEqual(10);
  });

  test("a switch that makes no sense is named", async () => {
    await expect(Cache.open(root, { catalog: "sometimes" as "auto" })).rejects.toThrow(
      /^catalog is "sometimes"/,
    );
  });
});
