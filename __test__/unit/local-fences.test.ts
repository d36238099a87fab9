/** What is written under a right to compute that somebody else has taken over meanwhile. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LocalStore } from "../../src/stores/local.ts";
import type { NewFacts, StoreNamespace } from "../../src/stores/store.ts";

const FACTS = { codec: "text", extension: "txt", expiresAt: null };
const encoded = (text: string) => ({ parts: [Buffer.from(text)], byteLength: Buffer.byteLength(text) });

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
  const root = await mkdtemp(join(tmpdir(), "quiver-fences-"));
  const store = await LocalStore.open(root, { durability: "process" });
  onTestFinished(async () => {
    await store.close();
    await rm(root, { recursive: true });
  });
  const space = await store.open("n", {});
  const flight = await space.flight?.("k", { timeout: 0 });
  const fence = flight?.fence ?? 0;
  expect(fence).toBeGreaterThan(1);
  await space.set("k", encoded("in time"), { ...FACTS, fence });
  await write(space, { ...FACTS, fence: fence - 1 });
  expect(Buffer.from((await space.get("k"))?.bytes ?? []).toString()).toBe("in time");
  await write(space, { ...FACTS, fence });
  expect(Buffer.from((await space.get("k"))?.bytes ?? []).toString()).toMatch(/^(late)+$/);
  flight?.release();
});
