/** Listing keys: order, prefixes, pages. */

import assert from "node:assert/strict";
import { keysOf, put, type Suite } from "./harness.ts";
import { ODD_KEYS } from "./keys.ts";

function byUtf8(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

export function listing(suite: Suite): void {
  suite.describe("listing", () => {
    suite.test("an empty namespace has one empty page", async ({ namespace }) => {
      const page = await namespace.list({ limit: 10 });
      assert.deepEqual(page.entries, []);
      assert.equal(page.next, undefined);
    });

    suite.test("keys come in the order of their UTF-8 bytes, not of UTF-16", async ({ namespace }) => {
      // U+FFFF sorts before U+10000 in UTF-8 and after its surrogates in UTF-16.
      for (const key of ["\u{10000}", "\uffff", "b", "a", "\u00e9", "z", "\u{1f3f9}", "\ue000"]) {
        await put(namespace, key, "value");
      }
      assert.deepEqual(await keysOf(namespace, "", 3), [
        "a",
        "b",
        "z",
        "\u00e9",
        "\ue000",
        "\uffff",
        "\u{10000}",
        "\u{1f3f9}",
      ]);
    });

    suite.test("odd keys are listed in order whatever the page", async ({ namespace }) => {
      for (const key of ODD_KEYS) await put(namespace, key, "value");
      const expected = [...ODD_KEYS].sort(byUtf8);
      for (const limit of [1, 7, ODD_KEYS.length, 10_000]) {
        assert.deepEqual(await keysOf(namespace, "", limit), expected, `in pages of ${limit}`);
      }
    });

    suite.test("a listing is whole at any length", async ({ namespace }) => {
      const keys: string[] = [];
      for (const length of [1, 31, 32, 33, 34, 63, 64, 65]) {
        while (keys.length < length) {
          const key = `key-${String(keys.length).padStart(2, "0")}`;
          keys.push(key);
          await put(namespace, key, "value");
        }
        await put(namespace, `aside-${length}`, "value");
        for (const limit of [20, length, 1_000]) {
          assert.deepEqual(await keysOf(namespace, "key-", limit), keys, `${length} in pages of ${limit}`);
        }
      }
    });

    suite.test("a listing is whole however much its entries say", async ({ namespace }) => {
      const keys = ["a", "b", "c", "d", "e"];
      for (const [index, key] of keys.entries()) {
        await put(namespace, key, "value", { metadata: { text: "x".repeat(index * 30_000) } });
      }
      for (const limit of [1, 3, 5, 100]) assert.deepEqual(await keysOf(namespace, "", limit), keys);
      assert.deepEqual(await keysOf(namespace, "e"), ["e"]);
    });

    suite.test("a prefix is a prefix of the whole key", async ({ namespace }) => {
      const keys = ["a", "ab", "ab/", "ab/c", "abc", "ac", "b", "a\u{1f3f9}", "a\u{1f3f9}b"];
      for (const key of keys) await put(namespace, key, "value");
      for (const prefix of ["", "a", "ab", "ab/", "abcd", "b", "c", "a\u{1f3f9}"]) {
        const expected = keys.filter((key) => key.startsWith(prefix)).sort(byUtf8);
        assert.deepEqual(await keysOf(namespace, prefix, 2), expected, `with prefix "${prefix}"`);
      }
    });

    suite.test("long keys are found by long prefixes", async ({ namespace }) => {
      const stem = "x".repeat(600);
      for (const key of [`${stem}b`, `${stem}a`, stem, `${stem.slice(1)}`])
        await put(namespace, key, "value");
      assert.deepEqual(await keysOf(namespace, stem), [stem, `${stem}a`, `${stem}b`]);
      assert.deepEqual(await keysOf(namespace, `${stem}b`), [`${stem}b`]);
    });

    suite.test("`after` may be a key that is gone, or never was", async ({ namespace }) => {
      for (const key of ["a", "b", "c", "d"]) await put(namespace, key, "value");
      await namespace.delete("b");
      const keys = async (after: string, prefix = "") =>
        (await namespace.list({ after, prefix, limit: 10 })).entries.map((entry) => entry.key);
      assert.deepEqual(await keys("b"), ["c", "d"]);
      assert.deepEqual(await keys("bb"), ["c", "d"]);
      assert.deepEqual(await keys("d"), []);
      assert.deepEqual(await keys("a", "c"), ["c"]);
    });

    suite.test("entries that come and go between pages disturb no other", async ({ namespace }) => {
      for (const key of ["a", "c", "e", "g"]) await put(namespace, key, "value");
      const first = await namespace.list({ limit: 2 });
      assert.deepEqual(
        first.entries.map((entry) => entry.key),
        ["a", "c"],
      );
      await namespace.delete("c");
      await namespace.delete("e");
      await put(namespace, "b", "too late");
      await put(namespace, "f", "in time");
      await put(namespace, "e", "in time");
      const second = await namespace.list({ limit: 10, after: first.next ?? "" });
      assert.deepEqual(
        second.entries.map((entry) => entry.key),
        ["e", "f", "g"],
      );
    });

    suite.test("entries carry their facts", async ({ namespace }) => {
      await put(namespace, "k", "value", { tags: ["t"], priority: 2, metadata: { m: 1 } });
      const entry = (await namespace.list({ limit: 1 })).entries[0];
      assert.equal(entry?.key, "k");
      assert.equal(entry?.size, 5);
      assert.deepEqual(entry?.tags, ["t"]);
      assert.equal(entry?.priority, 2);
      assert.deepEqual(entry?.metadata, { m: 1 });
    });
  });
}
