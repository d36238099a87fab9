/** Values that are written piece by piece. */

import assert from "node:assert/strict";
import {
  assertStored,
  bytesOf,
  factsWith,
  keysOf,
  pattern,
  put,
  rejectsWith,
  type Suite,
  textOf,
} from "./harness.ts";

export function writers(suite: Suite): void {
  suite.describe("streamed writes", () => {
    suite.test("the pieces make the value", async ({ namespace }) => {
      for (const size of [0, 1, 5000, 3_000_000]) {
        const bytes = pattern(size);
        const writer = await namespace.writer("k", { extension: "dat", sizeHint: 100 });
        for (let start = 0; start < size; start += 70_001)
          await writer.write(bytes.subarray(start, start + 70_001));
        const facts = await writer.commit(factsWith({ tags: ["t"], metadata: { m: 1 } }));
        assert.equal(facts.size, size);
        await assertStored(namespace, "k", bytes);
        assert.deepEqual((await namespace.info("k"))?.tags, ["t"]);
        assert.deepEqual((await namespace.info("k"))?.metadata, { m: 1 });
      }
      assert.equal(namespace.usage().bytes, 3_000_000);
    });

    suite.test("a chunk has been copied when the call returns", async ({ namespace }) => {
      const writer = await namespace.writer("k", { extension: "dat" });
      const chunk = new Uint8Array(100_000);
      const writes: Promise<void>[] = [];
      for (let round = 1; round <= 5; round++) {
        chunk.fill(round);
        writes.push(writer.write(chunk));
      }
      chunk.fill(0);
      await Promise.all(writes);
      await writer.commit(factsWith());
      const bytes = await bytesOf(namespace, "k");
      assert.deepEqual(
        [0, 1, 2, 3, 4].map((round) => bytes?.[round * 100_000 + 99_999]),
        [1, 2, 3, 4, 5],
      );
    });

    suite.test("nothing is seen before the commit", async ({ namespace }) => {
      await put(namespace, "replaced", "old");
      const fresh = await namespace.writer("fresh", { extension: "dat" });
      const replacing = await namespace.writer("replaced", { extension: "dat" });
      await fresh.write(pattern(100_000));
      await replacing.write(pattern(100_000));
      assert.equal(await namespace.has("fresh"), false);
      assert.equal(await textOf(namespace, "replaced"), "old");
      assert.deepEqual(await keysOf(namespace), ["replaced"]);
      await fresh.commit(factsWith());
      await replacing.commit(factsWith());
      assert.equal((await bytesOf(namespace, "fresh"))?.byteLength, 100_000);
      assert.equal((await bytesOf(namespace, "replaced"))?.byteLength, 100_000);
    });

    suite.test("an aborted write leaves what was there", async ({ namespace }) => {
      await put(namespace, "k", "old");
      const before = namespace.usage();
      const writer = await namespace.writer("k", { extension: "dat" });
      await writer.write(pattern(100_000));
      await writer.abort();
      assert.equal(await textOf(namespace, "k"), "old");
      assert.deepEqual(namespace.usage(), before);
    });

    suite.test("a writer ends once", async ({ namespace }) => {
      const aborted = await namespace.writer("k", { extension: "dat" });
      await aborted.abort();
      await assert.rejects(aborted.write(pattern(1)));
      await assert.rejects(aborted.commit(factsWith()));
      const committed = await namespace.writer("k", { extension: "dat" });
      await committed.write(pattern(10));
      await committed.commit(factsWith());
      await assert.rejects(committed.write(pattern(1)));
      await assert.rejects(committed.commit(factsWith()));
      assert.equal((await bytesOf(namespace, "k"))?.byteLength, 10);
    });

    suite.test("a signal aborts the write", async ({ namespace }) => {
      const controller = new AbortController();
      const writer = await namespace.writer("k", { extension: "dat", signal: controller.signal });
      await writer.write(pattern(100));
      controller.abort();
      await rejectsWith("ERR_QUIVER_ABORTED", writer.commit(factsWith()));
      await writer.abort();
      assert.equal(await namespace.has("k"), false);
    });

    suite.test("two writers on one key take effect in the order of their commits", async ({ namespace }) => {
      const first = await namespace.writer("k", { extension: "dat" });
      const second = await namespace.writer("k", { extension: "dat" });
      await first.write(pattern(10));
      await second.write(pattern(500_000));
      await Promise.all([second.commit(factsWith()), first.commit(factsWith())]);
      assert.equal((await bytesOf(namespace, "k"))?.byteLength, 10);
    });

    suite.test("a commit called before a set is replaced by it", async ({ namespace }) => {
      const writer = await namespace.writer("k", { extension: "dat" });
      await writer.write(pattern(500_000));
      await Promise.all([writer.commit(factsWith()), put(namespace, "k", "later")]);
      assert.equal(await textOf(namespace, "k"), "later");
    });
  });
}
