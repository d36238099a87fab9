/** What a process that looks entries up sees of others' writes, and that it keeps no pages which they could use again. */

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Cache, type Namespace } from "../../src/index.ts";
import { Programs } from "./harness.ts";

const WRITES = 400;
/** What the writes would take, each several pages, if none of these could be used again: many times this. */
const GROWTH = 4 << 20;

let programs: Programs;
let root: string;

beforeAll(() => {
  programs = new Programs();
});

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-snapshots-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** By how much the catalog grows while one entry is written again and again, each time in a commit of its own. */
async function growth(values: Namespace<string>): Promise<number> {
  const size = (): number => statSync(join(root, ".quiver/catalog/data.mdb")).size;
  const before = size();
  for (let turn = 0; turn < WRITES; turn++) await values.set("written", `${turn}`.padStart(1_000));
  return size() - before;
}

test("what another process commits is seen in the same turn", async () => {
  await using cache = await Cache.open(root, { durability: "process" });
  const values = cache.namespace<string>("values");
  await values.set("read", "value");
  const reader = programs.start("look-once", { root, key: "read", busy: 10_000, awaited: join(root, "go") });
  try {
    await reader.message("looked");
    await values.set("read", "new");
    writeFileSync(join(root, "go"), "");
    expect(await reader.message("again")).toMatchObject({ value: "new" });
  } finally {
    await reader.kill();
  }
});

test.each([
  { one: "found nothing and waits", key: "absent", value: undefined, asks: false, busy: 0, pause: 0 },
  {
    one: "found nothing and goes on in the same turn, a second later",
    key: "absent",
    value: undefined,
    asks: false,
    busy: 60_000,
    pause: 2_500,
  },
  {
    one: "found an entry and goes on in the same turn",
    key: "read",
    value: "value",
    asks: false,
    busy: 60_000,
    pause: 0,
  },
  {
    one: "asked for what isn't there and goes on in the same turn",
    key: "absent",
    value: undefined,
    asks: true,
    busy: 60_000,
    pause: 0,
  },
])("one that $one", async ({ key, value, asks, busy, pause: before }) => {
  await using cache = await Cache.open(root, { durability: "process" });
  const values = cache.namespace<string>("values");
  await values.set("read", "value");
  await growth(values);
  const reader = programs.start("look-once", { root, key, asks, busy });
  try {
    expect((await reader.message("looked"))["value"]).toBe(value);
    await pause(before);
    expect(await growth(values)).toBeLessThan(GROWTH);
  } finally {
    await reader.kill();
  }
});
