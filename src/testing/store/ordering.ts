/** Operations that are not awaited: call order on one key, and many at a time. */

import assert from "node:assert/strict";
import type { NewFacts } from "../../stores/store.ts";
import {
  assertStored,
  bytesOf,
  encoded,
  factsWith,
  keysOf,
  pattern,
  put,
  type Suite,
  textOf,
} from "./harness.ts";

export function ordering(suite: Suite): void {
  suite.describe("operations under way together", () => {
    suite.test("the last set called wins, whatever the sizes", async ({ namespace }) => {
      for (const sizes of [
        [2_000_000, 10],
        [10, 2_000_000],
        [2_000_000, 70_000, 10],
      ]) {
        await Promise.all(sizes.map((size) => put(namespace, "k", pattern(size, size))));
        assert.equal((await bytesOf(namespace, "k"))?.byteLength, sizes.at(-1));
      }
    });

    suite.test("a delete called after a set deletes, and a set after it stays", async ({ namespace }) => {
      const results = await Promise.all([
        put(namespace, "gone", pattern(1_000_000)),
        namespace.delete("gone"),
        put(namespace, "kept", pattern(1_000_000)),
        namespace.delete("kept"),
        put(namespace, "kept", "small"),
      ]);
      assert.equal(results[1], true);
      assert.equal(await namespace.has("gone"), false);
      assert.equal(await textOf(namespace, "kept"), "small");
    });

    suite.test("a touch called after a set touches what it set", async ({ namespace }) => {
      const [, touched] = await Promise.all([
        put(namespace, "k", pattern(100_000), { tags: ["old"] }),
        namespace.touch("k", { tags: ["new"] }),
      ]);
      assert.deepEqual(touched?.tags, ["new"]);
      assert.deepEqual((await namespace.info("k"))?.tags, ["new"]);
    });

    suite.test("a get called after a set gets what it set", async ({ namespace }) => {
      const [, text, , absent] = await Promise.all([
        put(namespace, "k", "value"),
        textOf(namespace, "k"),
        namespace.delete("k"),
        namespace.has("k"),
      ]);
      assert.equal(text, "value");
      assert.equal(absent, false);
    });

    suite.test(
      "values written together keep their places among other calls on their keys",
      async ({ namespace }) => {
        const batch = namespace.batch?.();
        const others: Promise<unknown>[] = [put(namespace, "a", "before")];
        const write = (key: string, text: string, facts?: Partial<NewFacts>): void => {
          if (batch?.add(key, encoded(text), factsWith(facts))) return;
          others.push(namespace.set(key, encoded(text), factsWith(facts)));
        };
        for (const [key, text] of [
          ["a", "1"],
          ["b", "1"],
          ["b", "2"],
          ["c", "1"],
        ] as const) {
          write(key, text);
        }
        const read = textOf(namespace, "b");
        others.push(namespace.delete("c"));
        write("d", "tagged", { tags: ["t"] });
        const answers = (await batch?.ended()) ?? [];
        assert.ok(answers.every((answer) => !(answer instanceof Error)));
        await Promise.all(others);
        assert.deepEqual(
          [await textOf(namespace, "a"), await textOf(namespace, "b"), await read],
          ["1", "2", "2"],
        );
        assert.deepEqual(await keysOf(namespace), ["a", "b", "d"]);
        assert.deepEqual((await namespace.info("d"))?.tags, ["t"]);
      },
    );

    suite.test("what is set has been copied when the call returns", async ({ namespace }) => {
      for (const size of [100, 3_000_000]) {
        const bytes = pattern(size);
        const pending = namespace.set("k", { parts: [bytes], byteLength: size }, factsWith());
        bytes.fill(0);
        await pending;
        await assertStored(namespace, "k", pattern(size));
      }
    });

    suite.test("a failing write leaves the others alone", async ({ namespace }) => {
      const aborted = AbortSignal.abort();
      const results = await Promise.allSettled([
        put(namespace, "a", "1"),
        namespace
          .writer("b", { extension: "dat", signal: aborted })
          .then((writer) => writer.commit(factsWith())),
        put(namespace, "c", "3"),
      ]);
      assert.deepEqual(
        results.map((result) => result.status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      assert.deepEqual(await keysOf(namespace), ["a", "c"]);
    });

    suite.test("hundreds of writes at once all arrive", async ({ namespace }) => {
      const keys = Array.from({ length: 400 }, (_, index) => `k${String(index).padStart(3, "0")}`);
      await Promise.all(
        keys.map((key, index) => namespace.set(key, encoded(`${key} ${index}`), factsWith())),
      );
      assert.deepEqual(await keysOf(namespace, "", 100), keys);
      const texts = await Promise.all(keys.map((key) => textOf(namespace, key)));
      assert.deepEqual(
        texts,
        keys.map((key, index) => `${key} ${index}`),
      );
    });
  });
}
