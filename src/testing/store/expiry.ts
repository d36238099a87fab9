/** Entries whose time has come. */

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { factsWith, keysOf, put, type Suite, textOf } from "./harness.ts";

export function expiry(suite: Suite): void {
  suite.describe("expiry", () => {
    suite.test("what expires in the past is absent at once", async ({ namespace, now }) => {
      await put(namespace, "k", "value", { expiresAt: now() - 1000 });
      assert.equal(await namespace.get("k"), undefined);
      assert.equal(await namespace.has("k"), false);
      assert.equal(await namespace.info("k"), undefined);
      assert.equal(await namespace.touch("k", { pinned: true }), undefined);
      assert.deepEqual(await keysOf(namespace), []);
    });

    suite.timedTest("an entry lives until its time and not a millisecond longer", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "k", "value", { expiresAt: bench.now() + 1000 });
      await put(namespace, "for ever", "value");
      bench.advance(999);
      assert.equal(await textOf(namespace, "k"), "value");
      assert.deepEqual(await keysOf(namespace), ["for ever", "k"]);
      bench.advance(1);
      assert.equal(await namespace.get("k"), undefined);
      if (namespace.getSync) assert.equal(namespace.getSync("k"), undefined);
      assert.equal(await namespace.has("k"), false);
      assert.deepEqual(await keysOf(namespace), ["for ever"]);
      bench.advance(1e12);
      assert.equal(await textOf(namespace, "for ever"), "value");
    });

    suite.timedTest("the value tells when it expires", async (bench) => {
      const expiresAt = bench.now() + 5000;
      await put(bench.namespace, "k", "value", { expiresAt });
      assert.equal((await bench.namespace.get("k"))?.expiresAt, expiresAt);
      await bench.namespace.touch("k", { expiresAt: null });
      assert.equal((await bench.namespace.get("k"))?.expiresAt, null);
    });

    suite.timedTest("touch and set prolong and shorten", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "longer", "value", { expiresAt: bench.now() + 1000 });
      await put(namespace, "shorter", "value", { expiresAt: bench.now() + 9000 });
      await put(namespace, "set", "value", { expiresAt: bench.now() + 1000 });
      await namespace.touch("longer", { expiresAt: bench.now() + 5000 });
      await namespace.touch("shorter", { expiresAt: bench.now() + 500 });
      await put(namespace, "set", "new");
      bench.advance(2000);
      assert.deepEqual(await keysOf(namespace), ["longer", "set"]);
    });

    suite.timedTest("expire removes what has expired and gives its room back", async (bench) => {
      const { namespace } = bench;
      for (let index = 0; index < 10; index++) {
        await put(namespace, `k${index}`, "value", { expiresAt: bench.now() + 1000 * (index + 1) });
      }
      await put(namespace, "for ever", "value");
      await put(namespace, "pinned", "value", { expiresAt: bench.now() + 500, pinned: true });
      assert.equal(await namespace.expire(bench.now()), 0);
      bench.advance(4000);
      assert.equal(await namespace.expire(bench.now()), 5);
      assert.equal(await namespace.expire(bench.now()), 0);
      assert.equal(namespace.usage().entries, 7);
      assert.equal(namespace.usage().bytes, 35);
      bench.advance(60_000);
      assert.equal(await namespace.expire(bench.now()), 6);
      assert.deepEqual(await keysOf(namespace), ["for ever"]);
    });

    suite.timedTest("expire spares what was prolonged meanwhile", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "touched", "value", { expiresAt: bench.now() + 1000 });
      await put(namespace, "replaced", "value", { expiresAt: bench.now() + 1000 });
      await namespace.touch("touched", { expiresAt: bench.now() + 9000 });
      await put(namespace, "replaced", "new", { expiresAt: bench.now() + 9000 });
      bench.advance(2000);
      assert.equal(await namespace.expire(bench.now()), 0);
      assert.deepEqual(await keysOf(namespace), ["replaced", "touched"]);
    });

    suite.timedTest("expire removes what was shortened by a touch", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "k", "value", { expiresAt: bench.now() + 9000 });
      await put(namespace, "for ever", "value");
      assert.equal(await namespace.expire(bench.now()), 0);
      await namespace.touch("k", { expiresAt: bench.now() + 100 });
      await namespace.touch("for ever", { expiresAt: bench.now() + 200 });
      bench.advance(100);
      assert.equal(await namespace.expire(bench.now()), 1);
      bench.advance(100);
      assert.equal(await namespace.expire(bench.now()), 1);
      assert.equal(namespace.usage().entries, 0);
    });

    suite.timedTest("an expired key can be set again", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "k", "old", { expiresAt: bench.now() + 10, tags: ["t"] });
      bench.advance(10);
      assert.equal(await namespace.delete("k"), false);
      await put(namespace, "k", "older", { expiresAt: bench.now() + 10 });
      bench.advance(10);
      await namespace.set("k", { parts: [], byteLength: 0 }, factsWith());
      assert.equal(await textOf(namespace, "k"), "");
      assert.equal(namespace.usage().entries, 1);
    });

    if (suite.capabilities.stale) {
      suite.timedTest("an expired entry is kept for those who ask for stale ones", async (bench) => {
        const { namespace } = bench;
        const expiresAt = bench.now() + 1000;
        await put(namespace, "k", "value", { expiresAt, staleUntil: expiresAt + 500 });
        bench.advance(1000);
        assert.equal(await namespace.get("k"), undefined);
        assert.equal(await namespace.has("k"), false);
        assert.deepEqual(await keysOf(namespace), []);
        assert.equal(await namespace.expire(bench.now()), 0);
        const stale = await namespace.get("k", { stale: true });
        assert.equal(new TextDecoder().decode(stale?.bytes), "value");
        assert.equal(stale?.expiresAt, expiresAt);
        bench.advance(500);
        assert.equal(await namespace.get("k", { stale: true }), undefined);
        assert.equal(await namespace.expire(bench.now()), 1);
        assert.equal(namespace.usage().entries, 0);
      });

      suite.timedTest("what is prolonged is kept as long after the new expiry", async (bench) => {
        const { namespace } = bench;
        const expiresAt = bench.now() + 1000;
        await put(namespace, "k", "value", { expiresAt, staleUntil: expiresAt + 500 });
        await namespace.touch("k", { expiresAt: expiresAt + 1000 });
        bench.advance(2499);
        assert.equal(await namespace.get("k"), undefined);
        assert.notEqual(await namespace.get("k", { stale: true }), undefined);
        bench.advance(1);
        assert.equal(await namespace.get("k", { stale: true }), undefined);
      });

      suite.timedTest("a stale entry makes way for a new one, and can be deleted", async (bench) => {
        const { namespace } = bench;
        const facts = { expiresAt: bench.now() + 10, staleUntil: bench.now() + 9000 };
        await put(namespace, "replaced", "old", facts);
        await put(namespace, "deleted", "old", facts);
        bench.advance(20);
        await put(namespace, "replaced", "new");
        assert.equal(await textOf(namespace, "replaced"), "new");
        await namespace.delete("deleted");
        assert.equal(await namespace.get("deleted", { stale: true }), undefined);
      });
    }

    if (!suite.ownClock) {
      suite.test("entries leave in time by the store's own clock", async ({ namespace, now }) => {
        await put(namespace, "k", "value", { expiresAt: now() + 200 });
        await put(namespace, "touched", "value");
        await put(namespace, "prolonged", "value", { expiresAt: now() + 200 });
        await put(namespace, "for ever", "value");
        await namespace.touch("touched", { expiresAt: now() + 200 });
        await namespace.touch("prolonged", { expiresAt: now() + 1_000_000 });
        while ((await namespace.has("k")) || (await namespace.has("touched"))) await sleep(20);
        assert.equal(await namespace.get("k"), undefined);
        assert.equal(await namespace.info("touched"), undefined);
        assert.deepEqual(await keysOf(namespace), ["for ever", "prolonged"]);
        assert.equal(await namespace.delete("k"), false);
        assert.equal(await namespace.expire(now()), 1);
        assert.equal(namespace.usage().entries, 2);
        assert.equal(namespace.usage().bytes, 10);
      });
    }

    suite.timedTest("with a clock set back far, what has a time to live counts as expired", async (bench) => {
      const { namespace } = bench;
      await put(namespace, "k", "value", { expiresAt: bench.now() + 1000 });
      await put(namespace, "for ever", "value");
      bench.advance(-30_000);
      assert.equal(await textOf(namespace, "k"), "value");
      bench.advance(-3_600_000);
      assert.equal(await namespace.get("k"), undefined);
      assert.equal(await textOf(namespace, "for ever"), "value");
    });
  });
}
