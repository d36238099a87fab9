/** Creations of vector caches that fail in the middle: on a full disk, where nothing may be written, under a limit. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VectorCache } from "../../src/index.ts";
import { hashingVectorizer } from "../../src/vectors/vectorizers/hashing.ts";
import type { Vectorizer } from "../../src/vectors/vectorizers/vectorizer.ts";
import { codeOf, isRoot, mountable, newDisk, newFolder, run } from "./bench.ts";

const texts = Array.from({ length: 2000 }, (_, i) => `text ${i} of some ${i % 7} words`);

/** Counts what it embeds. */
function counting(): Vectorizer & { embedded: number } {
  const vectorizer = hashingVectorizer();
  const counted = {
    ...vectorizer,
    embedded: 0,
    embed(batch: readonly string[], options: Parameters<Vectorizer["embed"]>[1]) {
      counted.embedded += batch.length;
      return vectorizer.embed(batch, options);
    },
  };
  return counted;
}

function filesOf(folder: string): Record<string, Buffer> {
  const names = readdirSync(folder).filter((name) => name !== "metadata.json");
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
}

describe.skipIf(!mountable)("on a full disk", () => {
  let disk: string;
  let root: string;

  beforeEach(() => {
    disk = newDisk("12m");
    root = join(disk, "vectors");
  });

  afterEach(() => run("umount", "-l", disk));

  test("a creation fails with what to do, the old cache stays, and it goes on when there is room", async () => {
    const elsewhere = newFolder();
    const options = { name: "c", texts, numShards: 3, reuse: false };
    const whole = await VectorCache.create({ ...options, root: elsewhere, vectorizer: hashingVectorizer() });
    const few = texts.slice(0, 10);
    await VectorCache.create({ ...options, texts: few, root, vectorizer: hashingVectorizer() });
    writeFileSync(join(disk, "ballast"), new Uint8Array(9.5 * 1024 * 1024));

    const failed = VectorCache.create({ ...options, root, vectorizer: counting() });
    expect(await codeOf(failed)).toBe("ERR_QUIVER_DISK_FULL");
    await expect(failed).rejects.toThrow(/creating the vector cache "c" failed/);
    expect((await VectorCache.load("c", { root })).size).toBe(10);

    rmSync(join(disk, "ballast"));
    const vectorizer = counting();
    const cache = await VectorCache.create({ ...options, root, vectorizer });
    expect(vectorizer.embedded).toBeLessThan(texts.length);
    expect(filesOf(cache.path)).toEqual(filesOf(whole.path));
    expect(readdirSync(root)).toEqual(["c"]);
  });

  test("without resume nothing is left behind", async () => {
    const vectorizer = hashingVectorizer({ dimension: 4096 });
    const options = { name: "c", texts, root, vectorizer, resume: false };
    expect(await codeOf(VectorCache.create(options))).toBe("ERR_QUIVER_DISK_FULL");
    expect(readdirSync(root)).toEqual([]);
  });
});

describe.skipIf(!isRoot)("where nothing may be written", () => {
  test("a creation says so", async () => {
    const root = join(newFolder(), "root");
    mkdirSync(root);
    run("mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", root);
    try {
      const creation = VectorCache.create({ name: "c", texts, root, vectorizer: hashingVectorizer() });
      expect(await codeOf(creation)).toMatch(/^ERR_QUIVER_(READ_ONLY|PERMISSION|IO)$/);
    } finally {
      run("umount", "-l", root);
      chmodSync(root, 0o755);
    }
  });
});
