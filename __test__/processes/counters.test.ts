/** Counters of processes that have the cache open for moments only: each count is kept. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { Programs, torture } from "./harness.ts";
import type { HitsInput } from "./programs/hits.ts";

const PROCESSES = 8;
const TIMES = torture ? 500 : 20;

let root: string;
let programs: Programs;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-counters-"));
  programs = new Programs();
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

test("hits of caches that are closed at once add up exactly over processes", async () => {
  await using cache = await Cache.open(root);
  const values = cache.namespace("values");
  await values.set("key", "value");
  const input: HitsInput = { root, times: TIMES };
  const children = Array.from({ length: PROCESSES }, () => programs.start("hits", input));
  for (const child of children) {
    await child.message("done");
    expect(await child.ended).toEqual({ code: 0, signal: null });
  }
  expect(await values.stats()).toMatchObject({ hits: PROCESSES * TIMES, misses: 0, sets: 1 });
});
