/** Facts of entries: what a write brings along, what touch changes. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { encoded, factsWith, keysOf, pattern, put, type Suite, textOf } from "./harness.ts";

export function facts(suite: Suite): void {
  suite.describe("facts", () => {
    suite.test("info tells everything that was given", async ({ namespace, now }) => {
      const before = now();
      const expiresAt = before + 3_600_000;
      const given = factsWith({
        codec: "npy",
        extension: "npy",
        expiresAt,
        priority: -3,
        pinned: true,
        tags: ["b", "a"],
        metadata: { nested: { list: [1, null, "x"] }, "": true },
        shape: [2, 3],
        dtype: "float32",
      });
      const stored = await namespace.set("k", encoded(pattern(24)), given);
      const found = await namespace.info("k");
      for (const facts of [stored, found]) {
        assert.ok(facts);
        assert.equal(facts.key, "k");
        assert.equal(facts.size, 24);
        assert.equal(facts.codec, "npy");
        assert.equal(facts.expiresAt, expiresAt);
        assert.equal(facts.priority, -3);
        assert.equal(facts.pinned, true);
        assert.deepEqual([...facts.tags].sort(), ["a", "b"]);
        assert.deepEqual(facts.metadata, { nested: { list: [1, null, "x"] }, "": true });
        assert.deepEqual(facts.shape, [2, 3]);
        assert.equal(facts.dtype, "float32");
        assert.ok(facts.createdAt >= before - 1 && facts.createdAt <= now() + 1, "created at another time");
      }
    });

    suite.test("what is left out has its default", async ({ namespace }) => {
      await put(namespace, "k", "value");
      const found = await namespace.info("k");
      assert.ok(found);
      assert.equal(found.expiresAt, null);
      assert.equal(found.priority, 0);
      assert.equal(found.pinned, false);
      assert.deepEqual(found.tags, []);
      assert.equal(found.metadata, undefined);
      assert.equal(found.shape, undefined);
      assert.equal(found.dtype, undefined);
      assert.equal(await namespace.info("other"), undefined);
    });

    suite.test("info has the SHA-256 of the stored bytes", async ({ namespace }) => {
      for (const size of [0, 5, 3_000_000]) {
        await put(namespace, "k", pattern(size));
        const expected = createHash("sha256").update(pattern(size)).digest("hex");
        assert.equal((await namespace.info("k"))?.digest, `sha256:${expected}`);
      }
    });

    suite.test("a set forgets the facts of the value it replaces", async ({ namespace }) => {
      await put(namespace, "k", "1", {
        tags: ["t"],
        pinned: true,
        priority: 9,
        metadata: { a: 1 },
        shape: [1],
      });
      await put(namespace, "k", "2");
      const found = await namespace.info("k");
      assert.deepEqual(found?.tags, []);
      assert.equal(found?.pinned, false);
      assert.equal(found?.priority, 0);
      assert.equal(found?.metadata, undefined);
      assert.equal(found?.shape, undefined);
    });

    suite.test("facts are the store's own copy", async ({ namespace }) => {
      const tags = ["a"];
      const metadata = { list: [1] };
      await put(namespace, "k", "value", { tags, metadata });
      tags.push("b");
      metadata.list.push(2);
      const found = await namespace.info("k");
      const list = found?.metadata?.["list"] as number[] | undefined;
      list?.push(3);
      assert.deepEqual((await namespace.info("k"))?.tags, ["a"]);
      assert.deepEqual((await namespace.info("k"))?.metadata, { list: [1] });
    });

    suite.test("touch changes what it names and nothing else", async ({ namespace, now }) => {
      await put(namespace, "k", "value", { tags: ["a"], metadata: { m: 1 }, priority: 1 });
      const expiresAt = now() + 1_000_000;
      assert.equal((await namespace.touch("k", { expiresAt }))?.expiresAt, expiresAt);
      assert.equal((await namespace.touch("k", { pinned: true }))?.pinned, true);
      await namespace.touch("k", { priority: 5, tags: ["b", "c"] });
      const found = await namespace.info("k");
      assert.equal(found?.expiresAt, expiresAt);
      assert.equal(found?.pinned, true);
      assert.equal(found?.priority, 5);
      assert.deepEqual([...(found?.tags ?? [])].sort(), ["b", "c"]);
      assert.deepEqual(found?.metadata, { m: 1 });
      assert.equal(await textOf(namespace, "k"), "value");
      await namespace.touch("k", { metadata: null, expiresAt: null, pinned: false, tags: [] });
      const bare = await namespace.info("k");
      assert.equal(bare?.metadata, undefined);
      assert.equal(bare?.expiresAt, null);
      assert.equal(bare?.pinned, false);
      assert.deepEqual(bare?.tags, []);
      await namespace.touch("k", { metadata: { n: [2] } });
      assert.deepEqual((await namespace.info("k"))?.metadata, { n: [2] });
    });

    suite.test("touch of an absent key is undefined and makes nothing", async ({ namespace }) => {
      assert.equal(await namespace.touch("k", { pinned: true }), undefined);
      assert.equal(await namespace.has("k"), false);
    });

    suite.test("deleteByTag removes those that carry the tag now", async ({ namespace }) => {
      await put(namespace, "a", "1", { tags: ["x", "y"] });
      await put(namespace, "b", "2", { tags: ["y"] });
      await put(namespace, "c", "3", { tags: ["xy"] });
      await put(namespace, "d", "4", { tags: ["y"] });
      await put(namespace, "e", "5", { tags: ["z"] });
      await put(namespace, "d", "4 without");
      await namespace.touch("e", { tags: ["y"] });
      assert.equal(await namespace.deleteByTag("y"), 3);
      assert.equal(await namespace.deleteByTag("y"), 0);
      assert.deepEqual(await keysOf(namespace), ["c", "d"]);
    });
  });
}
