/** Processes that change the same keys: nobody reads what somebody could already know to be replaced. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { type Message, Programs, torture } from "./harness.ts";
import { type Step, violationsIn } from "./history.ts";

const PROCESSES = 4;
const KEYS = torture ? 1_000 : 100;
const SECONDS = torture ? 60 : 4;
const SEED = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000);

const folder = mkdtempSync(join(tmpdir(), "quiver-coherence-"));
let programs: Programs;

beforeAll(() => {
  programs = new Programs();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lets the processes work on a new cache, and has the checker judge what they wrote down. */
async function judged(name: string, careless: boolean): Promise<Message> {
  const root = join(folder, name);
  await (await Cache.open(root, { durability: "process" })).close();
  const histories = Array.from({ length: PROCESSES }, (_, index) => join(folder, `${name}-${index}`));
  const processes = histories.map((history, index) =>
    programs.start("coherence", {
      root,
      number: index + 1,
      seed: SEED + index,
      keys: KEYS,
      history,
      // One that does it wrong is enough.
      careless: careless && index === 0,
    }),
  );
  await Promise.all(processes.map((one) => one.message("ready")));
  await pause(SECONDS * 1000);
  await Promise.all(processes.map((one) => one.stop()));
  return programs.start("check-history", { histories }).message("judged");
}

test(`of ${KEYS} keys that four processes change, no value is read that was known to be replaced`, async () => {
  const { steps, count, first } = await judged("careful", false);
  expect(first, `seed ${SEED}`).toEqual([]);
  expect(count).toBe(0);
  expect(steps).toBeGreaterThan(1_000);
  console.log(`${steps} steps of ${PROCESSES} processes in ${SECONDS} s`);
});

test("a process that believes its memory for 50 ms is found out", async () => {
  const { steps, count } = await judged("careless", true);
  expect(count).toBeGreaterThan(0);
  console.log(`${count} of ${steps} steps found wrong`);
});

describe("the checker", () => {
  const set = (sequence: number, start: number, end: number, expiresAt: number | null = null): Step => ({
    kind: "set",
    key: "k",
    sequence,
    expiresAt,
    start,
    end,
  });
  const read = (sequence: number, start: number, end: number, at = 0): Step => ({
    kind: "read",
    key: "k",
    sequence,
    at,
    start,
    end,
  });
  const remove = (start: number, end: number): Step => ({ kind: "delete", key: "k", start, end });

  test.each<[string, number, Step[]]>([
    ["the newest value", 0, [set(1, 0, 1), set(2, 2, 3), read(2, 4, 5)]],
    [
      "either of two that were written at the same time",
      0,
      [set(1, 0, 3), set(2, 1, 2), read(1, 4, 5), read(2, 4, 5)],
    ],
    ["the old one while the new one is being written", 0, [set(1, 0, 1), set(2, 2, 9), read(1, 4, 5)]],
    ["the old one after the new one is there", 1, [set(1, 0, 1), set(2, 2, 3), read(1, 4, 5)]],
    [
      "the old one after somebody saw the new one",
      1,
      [set(1, 0, 1), set(2, 2, 9), read(2, 4, 5), read(1, 6, 7)],
    ],
    ["a value after its removal", 1, [set(1, 0, 1), remove(2, 3), read(1, 4, 5)]],
    ["a value after all was cleared", 1, [set(1, 0, 1), { kind: "clear", start: 2, end: 3 }, read(1, 4, 5)]],
    ["nothing after a removal", 0, [set(1, 0, 1), remove(2, 3), read(0, 4, 5)]],
    ["nothing while it is being removed", 0, [set(1, 0, 1), remove(2, 9), read(0, 4, 5)]],
    ["nothing while it is being replaced", 0, [set(1, 0, 1), set(2, 3, 9), read(0, 4, 5)]],
    ["nothing although it was stored", 1, [set(1, 0, 1), read(0, 4, 5)]],
    ["a value that nobody wrote", 1, [set(1, 0, 1), read(7, 4, 5)]],
    ["a value before it is written", 1, [set(1, 6, 7), read(1, 4, 5)]],
    ["a value long after its expiry", 1, [set(1, 0, 1, 100), read(1, 4, 5, 5_000)]],
  ])("of %s finds %i wrong", (_, wrong, steps) => {
    expect(violationsIn(steps)).toHaveLength(wrong);
  });
});
