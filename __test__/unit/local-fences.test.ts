/** What is written under a right to compute that somebody else has taken over meanwhile. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LocalStore } from "../../src/stores/local.ts";
import type { NewFacts, StoreNamespace } from "../../src/stores/store.ts";

const FACTS = { codec: "text", extension: "txt", expiresAt: null };
const encoded = (text: string) => ({ parts: [Buffer.from(text)], byteLength: Buffer.byteLength(text) });

const textOf = async (space: StoreNamespace, key: string) =>
  Buffer.from((await space.get(key))?.bytes ?? []).toString();

/** A store with one namespace. */
async function opened() {
  const root = await mkdtemp(join(tmpdir(), "quiver-fences-"));
  const store = await LocalStore.open(root, { durability: "process" });
  onTestFinished(async () => {
    await store.close();
    await rm(root, { recursive: true });
  });
  return { store, space: await store.open("n", {}) };
}

/** The number of the right to compute a key, which is held until the end of the test. */
async function fenceOf(space: StoreNamespace, key: string): Promise<number> {
  const flight = await space.flight?.(key, { timeout: 0 });
  onTestFinished(() => flight?.release());
  const fence = flight?.fence ?? 0;
  expect(fence).toBeGreaterThan(1);
  return fence;
}

type Write = (space: StoreNamespace, facts: NewFacts) => Promise<unknown>;

const WRITES: readonly (readonly [string, Write])[] = [
  ["packed", (space, facts) => space.set("k", encoded("late"), facts)],
  [
    "packed, with facts of its own",
    (space, facts) => space.set("k", encoded("late"), { ...facts, tags: ["t"] }),
  ],
  ["packed, at once", async (space, facts) => space.setSync?.("k", encoded("late"), facts)],
  ["a file", (space, facts) => space.set("k", encoded("late".repeat(5_000)), facts)],
  [
    "packed, with others",
    async (space, facts) => {
      const batch = space.batch?.();
      expect(batch?.add("k", encoded("late"), facts)).toBe(true);
      await batch?.ended();
    },
  ],
];

test.each(WRITES)("is dropped: %s", async (_, write) => {
  const { space } = await opened();
  const fence = await fenceOf(space, "k");
  await space.set("k", encoded("in time"), { ...FACTS, fence });
  await write(space, { ...FACTS, fence: fence - 1 });
  expect(await textOf(space, "k")).toBe("in time");
  await write(space, { ...FACTS, fence });
  expect(await textOf(space, "k")).toMatch(/^(late)+$/);
});

test("of writes that go together each has its own", async () => {
  const { store, space } = await opened();
  const other = await store.open("other", {});
  const fence = await fenceOf(space, "k");
  const writes = [
    [space, "a", {}],
    [space, "k", { fence: fence - 1 }],
    [other, "k", {}],
    [space, "b", {}],
    [space, "k", { fence }],
    [other, "a", { expiresAt: 8_000_000_000_000 }],
    [space, "k", { fence: fence - 1 }],
    [space, "c", {}],
  ] as const;
  const answers = await Promise.all(
    writes.map(([where, key, facts], index) => where.set(key, encoded(`${index}`), { ...FACTS, ...facts })),
  );
  expect(answers.map(({ key }) => key)).toEqual(writes.map(([, key]) => key));
  expect(answers[5]?.expiresAt).toBe(8_000_000_000_000);
  const found = [
    ...["a", "k", "b", "c"].map((key) => [space, key] as const),
    ...["k", "a"].map((key) => [other, key] as const),
  ].map(([where, key]) => textOf(where, key));
  expect(await Promise.all(found)).toEqual(["0", "4", "3", "7", "2", "5"]);
});

test.each([0, 0.5, -1])("a right of number %d was overtaken by any other", async (early) => {
  const { space } = await opened();
  const fence = await fenceOf(space, "k");
  await space.set("k", encoded("in time"), { ...FACTS, fence });
  await space.set("k", encoded("late"), { ...FACTS, fence: early });
  expect(await textOf(space, "k")).toBe("in time");
});
