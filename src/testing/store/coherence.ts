/** Whether holders of decoded values can tell that they are no longer current. */

import assert from "node:assert/strict";
import type { StoredValue, StoreNamespace } from "../../stores/store.ts";
import { type Bench, put, type Suite } from "./harness.ts";

const NOWHERE = 0xffff_ffff;

/** A value as a holder keeps it; undefined for stores that give holders no way to know. */
async function hold(namespace: StoreNamespace, key: string): Promise<(() => boolean) | undefined> {
  const { coherence } = namespace;
  if (coherence === undefined) return undefined;
  const wordAt = (slot: number): number => Atomics.load(coherence.stamps, slot);
  const epoch = wordAt(coherence.epochSlot);
  const value = (await namespace.get(key)) as StoredValue;
  assert.notEqual(value.slot, NOWHERE, "the value has no slot");
  return () => wordAt(value.slot) === value.stamp && wordAt(coherence.epochSlot) === epoch;
}

export function coherence(suite: Suite): void {
  const changes: Record<string, (bench: Bench) => Promise<unknown>> = {
    set: ({ namespace }) => put(namespace, "k", "new"),
    "set of the same value": ({ namespace }) => put(namespace, "k", "value"),
    delete: ({ namespace }) => namespace.delete("k"),
    "delete and set": async ({ namespace }) => {
      await namespace.delete("k");
      await put(namespace, "k", "value");
    },
    "touch of the expiry": ({ namespace, now }) => namespace.touch("k", { expiresAt: now() + 1000 }),
    pin: ({ namespace }) => namespace.touch("k", { pinned: true }),
    clear: ({ namespace }) => namespace.clear(),
    deleteByTag: ({ namespace }) => namespace.deleteByTag("t"),
    "streamed write": async ({ namespace }) => {
      const writer = await namespace.writer("k", { extension: "dat" });
      await writer.commit({ codec: "bin", extension: "dat", expiresAt: null });
    },
    eviction: async ({ store }) => {
      using scan = await store.evictionScan({ goal: { allocated: 0, entries: 1 } });
      const columns = await scan.next(10);
      scan.offer(new Float64Array(columns?.length ?? 0));
      assert.equal((await scan.evict({ allocated: 0, entries: 1 })).count, 1);
    },
  };

  suite.describe("coherence", () => {
    for (const [name, change] of Object.entries(changes)) {
      suite.test(`a held value is outdated after ${name}`, async (bench) => {
        await put(bench.namespace, "k", "value", { tags: ["t"] });
        const isCurrent = await hold(bench.namespace, "k");
        if (isCurrent === undefined) return;
        assert.ok(isCurrent(), "a fresh value is not current");
        await change(bench);
        assert.equal(isCurrent(), false);
        await put(bench.namespace, "k", "value");
        assert.equal(isCurrent(), false);
      });
    }

    suite.timedTest("a held value is outdated after expire", async (bench) => {
      await put(bench.namespace, "k", "value", { expiresAt: bench.now() + 10 });
      const isCurrent = await hold(bench.namespace, "k");
      bench.advance(10);
      assert.equal(await bench.namespace.expire(bench.now()), 1);
      assert.equal(isCurrent?.() ?? false, false);
    });

    suite.test("reading and changing other keys leaves it current", async ({ namespace }) => {
      await put(namespace, "k", "value");
      await put(namespace, "other", "value");
      const isCurrent = await hold(namespace, "k");
      if (isCurrent === undefined) return;
      await namespace.get("k");
      await namespace.info("k");
      await namespace.list({ limit: 10 });
      await put(namespace, "other", "new");
      await namespace.delete("other");
      await put(namespace, "another", "value");
      assert.ok(isCurrent());
    });

    suite.test("clear of another namespace leaves it current", async ({ store, namespace }) => {
      const other = await store.open("other", {});
      await put(other, "k", "value");
      await put(namespace, "k", "value");
      const isCurrent = await hold(namespace, "k");
      await other.clear();
      assert.equal(isCurrent?.() ?? true, true);
    });

    suite.test(
      "a slot given to another key never validates what was held under it",
      async ({ namespace }) => {
        const held: (() => boolean)[] = [];
        for (let round = 0; round < 60; round++) {
          const key = `k${round % 7}`;
          await put(namespace, key, `value ${round}`);
          const isCurrent = await hold(namespace, key);
          if (isCurrent === undefined) return;
          assert.ok(isCurrent());
          assert.ok(
            held.every((earlier) => !earlier()),
            "a deleted value is current again",
          );
          held.push(isCurrent);
          if (round % 5 === 4) await namespace.clear();
          else await namespace.delete(key);
        }
      },
    );

    suite.test("heat counts as accesses", async ({ namespace }) => {
      const { coherence } = namespace;
      if (coherence === undefined) return;
      await put(namespace, "k", "value");
      const value = await namespace.get("k");
      const before = (await namespace.info("k"))?.accessCount ?? 0;
      Atomics.add(coherence.heat, value?.slot ?? 0, 5);
      assert.equal((await namespace.info("k"))?.accessCount, before + 5);
    });
  });
}
