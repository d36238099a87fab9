/** Values that are held in memory beyond the words that are in view at first. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";

/** Slots that are in view at first. */
const FEW = 1 << 18;
const BATCH = 16_384;

const root = mkdtempSync(join(tmpdir(), "quiver-slots-"));

afterAll(() => rmSync(root, { recursive: true, force: true }));

test("the last of very many entries is held like the first, and noticed when it changes", async () => {
  await using cache = await Cache.open(root, { durability: "process" });
  const values = cache.namespace<{ is: number }>("values", { codec: "json" });
  const early = cache.namespace<{ is: number }>("early", { codec: "json" });
  await early.set("k", { is: 0 });
  expect(heldTwice(early, "k")).toEqual({ is: 0 });
  for (let start = 0; start < FEW + BATCH; start += BATCH) {
    await values.setMany(Array.from({ length: BATCH }, (_, index) => [`k${start + index}`, { is: start }]));
  }
  const [last, start] = [`k${FEW + BATCH - 1}`, FEW];
  expect(heldTwice(values, last)).toEqual({ is: start });
  expect(heldTwice(values, "k0")).toEqual({ is: 0 });
  expect(heldTwice(early, "k")).toEqual({ is: 0 });

  await early.set("late", { is: 2 });
  expect(heldTwice(early, "late")).toEqual({ is: 2 });
  // For a moment, while counts are on their way to the file, too few are told.
  await expect.poll(async () => (await early.info("late"))?.accessCount).toBe(3);

  values.setSync(last, { is: -1 });
  early.setSync("k", { is: 1 });
  expect(heldTwice(values, last)).toEqual({ is: -1 });
  expect(heldTwice(early, "k")).toEqual({ is: 1 });
});

/** What is found, after it was seen to be handed out as the same object each time. */
function heldTwice(values: { getSync: (key: string) => unknown }, key: string): unknown {
  // Held from the second reading on.
  values.getSync(key);
  const held = values.getSync(key);
  expect(values.getSync(key)).toBe(held);
  return held;
}
