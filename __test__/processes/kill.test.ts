/**
 * Processes killed at random moments while they work on one cache. Whatever they were doing: the cache opens at once,
 * holds what it acknowledged, and gives nobody a wrong value.
 */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Cache } from "../../src/index.ts";
import { PACKED_LIMIT } from "../../src/stores/local/namespace.ts";
import { LocalStore } from "../../src/stores/local.ts";
import { Random } from "../../src/testing/store/random.ts";
import { type Process, Programs, torture } from "./harness.ts";
import { Expectation } from "./journal.ts";
import { BOUNDED_BYTES, namespaces, PROCESSES } from "./mix-layout.ts";
import { checkValue } from "./values.ts";

const ROUNDS = torture ? 250 : 6;
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000);
/** More sequence numbers than one process uses in one round. */
const STRIDE = 1_000_000;
/** Longest that processes work before they are killed, ms. */
const LONGEST = 600;

const folder = mkdtempSync(join(tmpdir(), "quiver-kill-"));
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["full", "process"] as const)("with durability %s", (durability) => {
  const root = join(folder, durability);
  const random = new Random(SEED);
  const expectation = new Expectation();
  let round = 0;

  beforeAll(async () => (await Cache.open(root, { durability })).close());

  test.each(Array.from({ length: ROUNDS }, (_, index) => index % 2 === 0))(
    `after round %# of seed ${SEED} nothing is wrong or lost (all killed: %s)`,
    async (all) => {
      round++;
      const journals = await work(all);
      for (const journal of journals) expectation.follow(journal);
      await check();
    },
  );

  /** Lets all processes work, and kills all of them, or one of them some time before the others end well. */
  async function work(all: boolean): Promise<readonly string[]> {
    const started = Array.from({ length: PROCESSES }, (_, index) => {
      const journal = join(folder, `${durability}-${round}-${index + 1}`);
      const input = { root, number: index + 1, seed: random.below(2 ** 31), base: round * STRIDE, journal };
      return { journal, process: programs.start("mix", input) };
    });
    const processes = started.map((one) => one.process);
    // Some are killed while they open the cache.
    if (random.chance(0.8)) await Promise.all(processes.map((one) => one.message("ready")));
    await pause(random.below(LONGEST));
    const victims = all ? processes : [random.pick(processes)];
    for (const victim of victims) victim.signal("SIGKILL");
    const survivors = processes.filter((one) => !victims.includes(one));
    if (survivors.length > 0) await pause(random.below(LONGEST));
    await Promise.all([...survivors.map(endWell), ...victims.map(expectKilled)]);
    return started.map((one) => one.journal).filter((path) => existsSync(path));
  }

  async function check(): Promise<void> {
    const cache = await Cache.open(root, { namespaces });
    try {
      await checkEntries(cache);
      const bounded = await cache.namespace("bounded").stats();
      expect(bounded.allocated).toBeLessThanOrEqual(BOUNDED_BYTES);
    } finally {
      await cache.close();
    }
    await checkFiles();
    await checkIndexes();
  }

  async function checkEntries(cache: Cache): Promise<void> {
    for (const { namespace, key, allowed } of [...expectation.entries()]) {
      const value = await cache.namespace<Uint8Array>(namespace).get(key);
      const found = value === undefined ? 0 : checkValue(key, value);
      const mayBeEvicted = namespace === "bounded" && !key.endsWith("-0");
      if (!(found === 0 && mayBeEvicted)) {
        expect(allowed, `what ${namespace}/${key} may hold; it holds ${found}`).toContain(found);
      }
      expectation.settle(namespace, key, found);
    }
  }

  /** After a sweep every file belongs to an entry, and every readable name shows its entry's value. */
  async function checkFiles(): Promise<void> {
    const store = await LocalStore.open(root);
    try {
      await store.maintenance.sweep();
      expect(await store.maintenance.checkCatalog()).toEqual([]);
      expect(readdirSync(join(root, ".quiver/tmp"))).toEqual([]);
      for (const name of await store.names()) {
        expect((await store.maintenance.verify(name)).findings).toEqual([]);
      }
      // What was cleared goes in the background.
      await vi.waitFor(() => checkNoStrays(store), { timeout: 30_000, interval: 100 });
    } finally {
      await store.close();
    }
  }

  async function checkNoStrays(store: LocalStore): Promise<void> {
    let values = 0;
    for (const name of await store.names()) {
      const space = await store.open(name, {});
      const { layout, files } = space.settings;
      const readable: string[] = [];
      for (const { key, size, path } of (await space.list({ limit: 10_000 })).entries) {
        if (layout === "named" || files === "always" || size > PACKED_LIMIT) values++;
        values += (await space.versions?.(key))?.length ?? 0;
        if (path === undefined) continue;
        const value = await space.get(key);
        expect(readFileSync(path).equals(value?.bytes ?? Buffer.alloc(0)), `${path} shows ${key}`).toBe(true);
        readable.push(path);
      }
      expect(filesUnder(join(root, name))).toEqual(readable.sort());
    }
    expect(filesUnder(join(root, ".quiver/objects"))).toHaveLength(values);
  }

  async function checkIndexes(): Promise<void> {
    const cache = await Cache.open(root, { mode: "read-only" });
    try {
      for (const { name, settings } of cache.describe().namespaces) {
        if (!settings.index) continue;
        const index = JSON.parse(readFileSync(join(root, name, "index.json"), "utf8"));
        const listed: Record<string, object> = {};
        for await (const [key, { size, digest }] of cache.namespace(name).entries()) {
          listed[key] = { key, size_bytes: size, checksum: digest };
        }
        expect(Object.keys(index.entries).sort()).toEqual(Object.keys(listed).sort());
        expect(index.entries).toMatchObject(listed);
        expect(index.total_entries).toBe(Object.keys(listed).length);
      }
    } finally {
      await cache.close();
    }
  }
});

async function endWell(one: Process): Promise<void> {
  await one.stop();
  expect(one.errors).toBe("");
}

async function expectKilled(one: Process): Promise<void> {
  const { signal } = await one.ended;
  expect(signal, one.errors).toBe("SIGKILL");
}

/** Files that a person sees: neither hidden nor the index. */
function filesUnder(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "index.json")
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.slice(path.length).includes("/."))
    .sort();
}
