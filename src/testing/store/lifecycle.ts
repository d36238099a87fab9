/** Opening, settings and closing. */

import assert from "node:assert/strict";
import { encoded, factsWith, rejectsWith, type Suite } from "./harness.ts";

export function lifecycle(suite: Suite): void {
  suite.describe("opening and closing", () => {
    suite.test("the store can do what it claims", async ({ store, namespace }) => {
      assert.deepEqual(store.capabilities, suite.capabilities);
      assert.equal(namespace.getSync !== undefined, suite.capabilities.sync);
      assert.equal(namespace.path !== undefined, suite.capabilities.files);
      if (suite.capabilities.versions) assert.ok(namespace.versions);
      if (suite.capabilities.sync && suite.capabilities.keeps) assert.ok(namespace.coherence);
    });

    suite.test("namespaces are listed by name", async ({ store }) => {
      await store.open("zeta", {});
      await store.open("alpha", {});
      const names = await store.names();
      assert.deepEqual(
        names.filter((name) => ["alpha", "suite", "zeta"].includes(name)),
        ["alpha", "suite", "zeta"],
      );
    });

    suite.test("a new namespace takes the settings given and defaults for the rest", async ({ store }) => {
      const { settings } = await store.open("set", { ttl: 5000, eviction: "fifo", maxEntries: 9 });
      assert.equal(settings.ttl, 5000);
      assert.equal(settings.eviction, "fifo");
      assert.equal(settings.maxEntries, 9);
      assert.equal(settings.layout, "hashed");
      assert.equal(settings.codec, null);
      assert.equal(settings.maxSize, null);
      assert.equal(settings.versions, 0);
    });

    suite.test("an open namespace keeps its settings unless it is reconfigured", async ({ store }) => {
      await store.open("set", { ttl: 5000, eviction: "fifo" });
      assert.equal((await store.open("set", {})).settings.ttl, 5000);
      assert.equal((await store.open("set", { ttl: 5000 })).settings.eviction, "fifo");
      await rejectsWith("ERR_QUIVER_SETTINGS_DIFFER", store.open("set", { ttl: 6000 }));
      await rejectsWith("ERR_QUIVER_SETTINGS_DIFFER", store.open("set", { ttl: null }));
      const { settings } = await store.open("set", { ttl: null }, { reconfigure: true });
      assert.equal(settings.ttl, null);
      assert.equal(settings.eviction, "fifo");
      assert.equal((await store.open("set", {})).settings.ttl, null);
    });

    suite.test("after close every call is refused", async ({ store, namespace }) => {
      const writer = await namespace.writer("w", { extension: "dat" });
      await namespace.set("k", encoded("v"), factsWith());
      await store.close();
      const code = "ERR_QUIVER_CLOSED";
      await rejectsWith(code, namespace.get("k"));
      await rejectsWith(code, namespace.has("k"));
      await rejectsWith(code, namespace.info("k"));
      await rejectsWith(code, namespace.set("k", encoded("v"), factsWith()));
      await rejectsWith(code, namespace.delete("k"));
      await rejectsWith(code, namespace.touch("k", { pinned: true }));
      await rejectsWith(code, namespace.list({ limit: 1 }));
      await rejectsWith(code, namespace.clear());
      await rejectsWith(code, namespace.deleteByTag("t"));
      await rejectsWith(code, namespace.expire(0));
      await rejectsWith(code, namespace.writer("w", { extension: "dat" }));
      await rejectsWith(code, writer.commit(factsWith()));
      await rejectsWith(code, store.open("suite", {}));
      await rejectsWith(code, store.names());
      await rejectsWith(code, store.evictionScan({ goal: { allocated: 1, entries: 1 } }));
      if (namespace.getSync) assert.throws(() => namespace.getSync?.("k"), { code });
    });

    suite.test("closing twice is the same as once", async ({ store }) => {
      await store.close();
      await store.close();
    });
  });
}
