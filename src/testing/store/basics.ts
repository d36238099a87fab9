/** Storing, reading, replacing and deleting values. */

import assert from "node:assert/strict";
import { assertStored, encoded, factsWith, keysOf, pattern, put, type Suite, textOf } from "./harness.ts";
import { ODD_KEYS } from "./keys.ts";

export function basics(suite: Suite): void {
  suite.describe("values", () => {
    suite.test("what was set is got, and what wasn't is undefined", async ({ namespace }) => {
      assert.equal(await namespace.get("k"), undefined);
      assert.equal(await namespace.has("k"), false);
      await put(namespace, "k", "value", { codec: "text", extension: "txt" });
      assert.equal(await textOf(namespace, "k"), "value");
      assert.equal(await namespace.has("k"), true);
      assert.equal((await namespace.get("k"))?.codec, "text");
      assert.equal(await namespace.get("K"), undefined);
    });

    if (suite.capabilities.sync) {
      suite.test("getSync sees what get sees", async ({ namespace }) => {
        assert.equal(namespace.getSync?.("k"), undefined);
        await put(namespace, "k", "value");
        assert.equal(Buffer.from(namespace.getSync?.("k")?.bytes ?? []).toString(), "value");
        await namespace.delete("k");
        assert.equal(namespace.getSync?.("k"), undefined);
      });
    }

    suite.test("a set replaces value and codec", async ({ namespace }) => {
      await put(namespace, "k", "a longer first value", { codec: "text", extension: "txt" });
      await put(namespace, "k", "second", { codec: "bin", extension: "dat" });
      assert.equal(await textOf(namespace, "k"), "second");
      assert.equal((await namespace.get("k"))?.codec, "bin");
      assert.deepEqual(await keysOf(namespace), ["k"]);
    });

    suite.test(
      "a value that was got stays as it was when its key is replaced and deleted",
      async ({ namespace }) => {
        const first = pattern(200_000, 1);
        await put(namespace, "k", first);
        const held = await namespace.get("k");
        await put(namespace, "k", pattern(200_000, 2));
        await namespace.delete("k");
        assert.ok(held);
        await held.ready?.(0, held.bytes.byteLength);
        assert.ok(Buffer.from(first).equals(held.bytes));
      },
    );

    suite.test("delete tells whether there was something", async ({ namespace }) => {
      await put(namespace, "k", "value");
      assert.equal(await namespace.delete("k"), true);
      assert.equal(await namespace.delete("k"), false);
      assert.equal(await namespace.get("k"), undefined);
      assert.equal(await namespace.has("k"), false);
      await put(namespace, "k", "again");
      assert.equal(await textOf(namespace, "k"), "again");
    });

    suite.test("values of all sizes come back byte for byte", async ({ namespace }) => {
      const sizes = [0, 1, 7, 63, 64, 4063, 4064, 4065, 16_384, 65_535, 65_536, 65_537, 300_000, 5_000_001];
      for (const size of sizes) await put(namespace, `size ${size}`, pattern(size, size));
      for (const size of sizes) {
        await assertStored(namespace, `size ${size}`, pattern(size, size));
        assert.equal((await namespace.info(`size ${size}`))?.size, size);
      }
    });

    suite.test("a value in many parts is stored joined", async ({ namespace }) => {
      for (const size of [10, 100_000]) {
        const bytes = pattern(size);
        await namespace.set("k", encoded(bytes, 997), factsWith());
        await assertStored(namespace, "k", bytes);
      }
    });

    suite.test("odd keys are keys like any other", async ({ namespace }) => {
      for (const [index, key] of ODD_KEYS.entries()) await put(namespace, key, `value ${index}`);
      for (const [index, key] of ODD_KEYS.entries()) {
        assert.equal(
          await textOf(namespace, key),
          `value ${index}`,
          `under ${JSON.stringify(key.slice(0, 40))}`,
        );
      }
      assert.equal(namespace.usage().entries, ODD_KEYS.length);
      for (const [index, key] of ODD_KEYS.entries()) {
        assert.equal(await namespace.delete(key), true);
        for (const other of ODD_KEYS.slice(index + 1, index + 3))
          assert.equal(await namespace.has(other), true);
      }
      assert.deepEqual(await keysOf(namespace), []);
    });

    suite.test("namespaces are apart", async ({ store, namespace }) => {
      const other = await store.open("other", {});
      await put(namespace, "k", "here");
      await put(other, "k", "there");
      assert.equal(await textOf(namespace, "k"), "here");
      await namespace.clear();
      assert.equal(await textOf(other, "k"), "there");
      assert.equal(await namespace.has("k"), false);
    });

    suite.test("a namespace that is opened twice is one", async ({ store, namespace }) => {
      const again = await store.open("suite", {});
      await put(namespace, "k", "value");
      assert.equal(await textOf(again, "k"), "value");
      await again.delete("k");
      assert.equal(await namespace.has("k"), false);
    });

    suite.test("clear removes everything and tells how much", async ({ namespace }) => {
      for (let index = 0; index < 25; index++) await put(namespace, `k${index}`, "value");
      assert.equal(await namespace.clear(), 25);
      assert.equal(await namespace.clear(), 0);
      assert.equal(await namespace.has("k3"), false);
      assert.deepEqual(await keysOf(namespace), []);
      await put(namespace, "k3", "new");
      assert.equal(await textOf(namespace, "k3"), "new");
    });
  });

  suite.describe("usage", () => {
    suite.test("usage adds up over set, replace, delete and clear", async ({ store, namespace }) => {
      const other = await store.open("other", {});
      assert.equal(namespace.usage().entries, 0);
      await put(namespace, "a", pattern(100));
      await put(namespace, "b", pattern(50_000));
      await put(other, "a", pattern(10));
      assert.equal(namespace.usage().entries, 2);
      assert.equal(namespace.usage().bytes, 50_100);
      assert.ok(namespace.usage().allocated >= 50_100, "less is allocated than stored");
      assert.equal(store.usage().entries, 3);
      assert.equal(store.usage().bytes, 50_110);
      await put(namespace, "b", pattern(30));
      assert.equal(namespace.usage().bytes, 130);
      await namespace.delete("a");
      assert.equal(namespace.usage().entries, 1);
      assert.equal(namespace.usage().bytes, 30);
      await namespace.clear();
      assert.equal(namespace.usage().entries, 0);
      assert.equal(namespace.usage().bytes, 0);
      assert.equal(store.usage().bytes, 10);
    });
  });
}
