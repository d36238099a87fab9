/** A store that keeps nothing: every write succeeds and every lookup is a miss. */

import assert from "node:assert/strict";
import { encoded, factsWith, keysOf, type Suite } from "./harness.ts";

export function forgetting(suite: Suite): void {
  suite.describe("keeping nothing", () => {
    suite.test("what is set is not there", async ({ store, namespace }) => {
      const facts = await namespace.set("k", encoded("value"), factsWith({ tags: ["t"] }));
      assert.equal(facts.key, "k");
      assert.equal(facts.size, 5);
      assert.deepEqual(facts.tags, ["t"]);
      assert.equal(await namespace.get("k"), undefined);
      assert.equal(await namespace.has("k"), false);
      assert.equal(await namespace.info("k"), undefined);
      assert.equal(await namespace.touch("k", { pinned: true }), undefined);
      assert.equal(await namespace.delete("k"), false);
      assert.equal(await namespace.deleteByTag("t"), 0);
      assert.equal(await namespace.clear(), 0);
      assert.deepEqual(await keysOf(namespace), []);
      assert.deepEqual(store.usage(), { entries: 0, bytes: 0, allocated: 0 });
    });

    suite.test("what is streamed is not there", async ({ namespace }) => {
      const writer = await namespace.writer("k", { extension: "dat" });
      await writer.write(new Uint8Array(10));
      assert.equal((await writer.commit(factsWith())).size, 10);
      assert.equal(await namespace.has("k"), false);
    });

    suite.test("there is nothing to evict", async ({ store, namespace }) => {
      await namespace.set("k", encoded("value"), factsWith());
      using scan = await store.evictionScan({ goal: { allocated: 1, entries: 1 } });
      assert.equal(await scan.next(10), undefined);
      assert.equal((await scan.evict({ allocated: 1, entries: 1 })).count, 0);
    });
  });
}
