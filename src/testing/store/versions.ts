/** Replaced values that are kept. */

import assert from "node:assert/strict";
import { pattern, put, type Suite, textOf } from "./harness.ts";

export function versions(suite: Suite): void {
  suite.describe("versions", () => {
    suite.test("without the setting nothing is kept", async ({ namespace }) => {
      await put(namespace, "k", "1");
      await put(namespace, "k", "2");
      assert.deepEqual(await namespace.versions?.("k"), []);
    });

    suite.test("the last replaced values are kept, newest first", async ({ store }) => {
      const namespace = await store.open("kept", { versions: 2 });
      for (const text of ["one", "two", "three", "four"]) await put(namespace, "k", text);
      const older = await namespace.versions?.("k");
      assert.deepEqual(
        older?.map((facts) => facts.version),
        [3, 2],
      );
      assert.deepEqual(
        older?.map((facts) => facts.size),
        [5, 3],
      );
      assert.equal((await namespace.info("k"))?.version, 4);
      assert.equal(await textOf(namespace, "k"), "four");
      assert.equal(await textOf(namespace, "k", 4), "four");
      assert.equal(await textOf(namespace, "k", 3), "three");
      assert.equal(await textOf(namespace, "k", 2), "two");
      assert.equal(await textOf(namespace, "k", 1), undefined);
      assert.equal(await textOf(namespace, "k", 5), undefined);
    });

    suite.test("an older value is not replaced by what is known of the newest", async ({ store }) => {
      const namespace = await store.open("kept", { versions: 1 });
      await put(namespace, "k", "old", { codec: "text", extension: "txt", metadata: { n: 1 } });
      await put(namespace, "k", "new", { codec: "json", extension: "json", metadata: { n: 2 } });
      assert.equal((await namespace.get("k", { version: 1 }))?.codec, "text");
      assert.deepEqual((await namespace.versions?.("k"))?.[0]?.metadata, { n: 1 });
    });

    suite.test("kept values take room, and go with their key", async ({ store }) => {
      const namespace = await store.open("kept", { versions: 3 });
      await put(namespace, "k", pattern(100_000, 1));
      const one = namespace.usage().allocated;
      await put(namespace, "k", pattern(100_000, 2));
      assert.ok(namespace.usage().allocated >= one + 100_000, "the older value is not counted");
      assert.equal(namespace.usage().entries, 1);
      assert.equal(await namespace.delete("k"), true);
      assert.equal(namespace.usage().entries, 0);
      assert.ok(namespace.usage().allocated < one, "the older value is still counted");
      assert.deepEqual(await namespace.versions?.("k"), []);
      assert.equal(await namespace.get("k", { version: 1 }), undefined);
      await put(namespace, "k", "new");
      assert.equal((await namespace.info("k"))?.version, 1);
    });

    suite.test("clear takes the kept values along", async ({ store }) => {
      const namespace = await store.open("kept", { versions: 3 });
      await put(namespace, "k", "1");
      await put(namespace, "k", "2");
      assert.equal(await namespace.clear(), 1);
      assert.deepEqual(await namespace.versions?.("k"), []);
      assert.equal(namespace.usage().bytes, 0);
    });
  });
}
