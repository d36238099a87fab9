import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type CreateOptions, Tensor, VectorCache } from "../../src/index.ts";
import { fromFunction } from "../../src/vectors/vectorizers/function.ts";
import { hashingVectorizer } from "../../src/vectors/vectorizers/hashing.ts";
import type { Vectorizer, Vectors } from "../../src/vectors/vectorizers/vectorizer.ts";

const folder = mkdtempSync(join(tmpdir(), "quiver-vectors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(folder, "root-"));
});

const coded = (code: string) => expect.objectContaining({ code: `ERR_QUIVER_${code}` });

/** Tells its calls, and gives each text a vector that is its own: its length, its first character, and ones. */
function counting(dimension = 3, model = "counting"): Vectorizer & { readonly calls: string[][] } {
  const calls: string[][] = [];
  const embed = (texts: readonly string[]) => {
    calls.push([...texts]);
    return texts.map((text) => vectorOf(text, dimension));
  };
  return Object.assign(fromFunction(embed, { model, dimension }), { calls });
}

function vectorOf(text: string, dimension = 3): number[] {
  return Array.from({ length: dimension }, (_, i) => [text.length, text.charCodeAt(0) || 0][i] ?? 1);
}

const texts = Array.from({ length: 100 }, (_, i) => `text ${i}${"!".repeat(i % 7)}`);

describe("a new cache", () => {
  test.each([true, false])(
    "is less than a hundredth larger than what it holds (texts kept: %s)",
    async (keepTexts) => {
      const many = Array.from({ length: 10_000 }, (_, i) => `passage ${i}`);
      const vectorizer = hashingVectorizer({ dimension: 384 });
      const { path } = await VectorCache.create({ name: "large", texts: many, vectorizer, root, keepTexts });
      const size = readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
      // Vectors, numbers in the column `text_id`, and texts with an offset each.
      const columns =
        many.length * (8 + (keepTexts ? 4 : 0)) + (keepTexts ? Buffer.byteLength(many.join("")) : 0);
      const held = many.length * 384 * 4 + columns;
      expect(size / held).toBeLessThan(1.01);
      expect(size).toBeGreaterThan(held);
    },
  );

  test("holds the vectors of the texts in their order, and says what it is", async () => {
    const cache = await VectorCache.create({ name: "my_cache", texts, vectorizer: counting(), root });
    expect(cache.getEmbeddings().toArray()).toEqual(texts.map((text) => vectorOf(text)));
    expect(cache).toMatchObject({
      name: "my_cache",
      size: 100,
      dimension: 3,
      shape: [100, 3],
      columns: ["text_id", "embeddings", "text"],
    });
    expect(cache.info()).toMatchObject({ model: "counting", dtype: "float32", chunks: null });
    expect(JSON.parse(readFileSync(join(cache.path, "metadata.json"), "utf8"))).toMatchObject({
      model_name: "counting",
      embedding_dim: 3,
      num_samples: 100,
      output_mode: "2d",
      num_observations: 100,
      features: ["text_id", "embeddings", "text"],
      embeddings: { model_tag: "counting", tensordtype: 1, hidden_size: 3, chunk_sizes: null },
    });
    expect(await cache.verify()).toEqual({ compared: 1 });
    expect(await VectorCache.list({ root })).toEqual(["my_cache"]);
    expect(readdirSync(root)).toEqual(["my_cache"]);
  });

  test("is read by slices, rows, indices and batches", async () => {
    await VectorCache.create({ name: "c", texts, vectorizer: counting(), root, numShards: 3 });
    const cache = await VectorCache.load("c", { root });
    const all = texts.map((text) => vectorOf(text));
    expect(cache.slice(2, 5).isView).toBe(true);
    expect(cache.slice(2, 5).toArray()).toEqual(all.slice(2, 5));
    expect(cache.slice(30, 70).toArray()).toEqual(all.slice(30, 70));
    expect(cache.slice(-2).toArray()).toEqual(all.slice(-2));
    expect(cache.slice(5, 5).shape).toEqual([0, 3]);
    expect(cache.row(99).isView).toBe(true);
    expect(cache.row(99).toArray()).toEqual(all[99]);
    expect(cache.gather([]).shape).toEqual([0, 3]);
    expect([...cache.batches(33)].map((batch) => batch.shape[0])).toEqual([33, 33, 33, 1]);
    expect([...cache.batches(33)].flatMap((batch) => batch.toArray())).toEqual(all);
    expect(cache.masks()).toBeNull();
    fc.assert(
      fc.property(fc.array(fc.nat(99)), (indices) => {
        expect(cache.gather(indices).toArray()).toEqual(indices.map((index) => all[index]));
      }),
      { numRuns: 20 },
    );
    const out = cache.gather([0, 0]);
    expect(cache.gather([7, 93], out)).toBe(out);
    expect(out.toArray()).toEqual([all[7], all[93]]);
    expect(() => cache.gather([7], out)).toThrow(coded("BAD_VALUE"));
    for (const index of [-1, 100, 1.5, Number.NaN, 2 ** 32]) {
      expect(() => cache.gather([0, index])).toThrow(coded("OUT_OF_RANGE"));
      expect(() => cache.row(index)).toThrow(/is not in \[0, 100\)/);
    }
  });

  test("finds the nearest rows", async () => {
    const vectorizer = hashingVectorizer({ dimension: 128 });
    const passages = ["the white whale", "a cup of tea", "whales and ships at sea", "the tea party"];
    const cache = await VectorCache.create({ name: "c", texts: passages, vectorizer, root });
    const found = await cache.nearest("white whales", { vectorizer, k: 2 });
    expect(found.map(({ row }) => row)).toEqual([0, 2]);
    expect(found[0]?.score).toBeGreaterThan(0.3);
    const self = await cache.nearest(cache.slice(), { k: 1, metric: "euclidean" });
    expect(self).toEqual([0, 1, 2, 3].map((row) => [{ row, score: expect.closeTo(0) }]));
    expect(await cache.nearest(cache.row(3).data as Float32Array, { k: 9, metric: "dot" })).toHaveLength(4);
    await expect(cache.nearest([1, 2])).rejects.toThrow(coded("BAD_VALUE"));
    await expect(cache.nearest("x")).rejects.toThrow(coded("BAD_OPTION"));
    await expect(cache.nearest("x", { vectorizer: hashingVectorizer() })).rejects.toThrow(
      /model of the cache/,
    );
  });

  test("stops a search that was asked to, before it and while rows are compared", async () => {
    const cache = await VectorCache.create({ name: "c", texts, vectorizer: counting(), root });
    const query = cache.row(7).data as Float32Array;
    const aborted = cache.nearest(query, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(coded("ABORTED"));
    // Work for longer than a timer may be late: each row against many queries.
    const all = cache.slice().data as Float32Array;
    const many = new Tensor(new Float32Array(400_000 * cache.dimension), [400_000, cache.dimension]);
    for (let at = 0; at < many.data.length; at += all.length)
      many.data.set(all.subarray(0, many.data.length - at), at);
    const abort = new AbortController();
    const found = cache.nearest(many, { k: 1, signal: abort.signal });
    setTimeout(() => abort.abort(), 1);
    await expect(found).rejects.toThrow(coded("ABORTED"));
    await expect(cache.nearest(query, { k: 1, signal: new AbortController().signal })).resolves.toHaveLength(
      1,
    );
  });

  test.each(["float16", "int8"] as const)("keeps %s, rounded", async (dtype) => {
    const vectorizer = hashingVectorizer({ dimension: 64 });
    const exact = await VectorCache.create({ name: "exact", texts, vectorizer, root });
    const cache = await VectorCache.create({ name: "c", texts, vectorizer, root, dtype });
    expect(cache.dtype).toBe(dtype);
    const query = exact.row(42).data as Float32Array;
    const [first, best] = [await exact.nearest(query, { k: 3 }), await cache.nearest(query, { k: 3 })];
    expect(best.map(({ row }) => row)[0]).toBe(42);
    expect(Math.abs((best[0]?.score ?? 0) - (first[0]?.score ?? 0))).toBeLessThan(0.02);
  });

  test("replaces one of its name only when it is complete", async () => {
    const options = { name: "c", texts, root };
    const old = await VectorCache.create({ ...options, vectorizer: counting() });
    const failing = fromFunction(() => Promise.reject(new Error("out of quota")), {
      model: "m",
      dimension: 3,
    });
    await expect(VectorCache.create({ ...options, vectorizer: failing })).rejects.toThrow(
      /"c" failed: out of quota/,
    );
    expect((await VectorCache.load("c", { root })).info().model).toBe("counting");
    await VectorCache.create({ ...options, vectorizer: counting(2, "other") });
    expect((await VectorCache.load("c", { root })).dimension).toBe(2);
    // Who has the old one open keeps it.
    expect(old.row(7).toArray()).toEqual(vectorOf(texts[7] as string));
    expect(await VectorCache.delete("c", { root })).toBe(true);
    expect(await VectorCache.delete("c", { root })).toBe(false);
    expect(readdirSync(root).filter((name) => !name.startsWith(".tmp_"))).toEqual([]);
  });
});

describe("texts with several vectors", () => {
  test("as many each: one tensor of three axes", async () => {
    const vectorizer = fromFunction(
      (batch) =>
        new Tensor(Float32Array.from(batch.flatMap((text) => [text.length, 1, 2, 3])), [batch.length, 2, 2]),
      { model: "m" },
    );
    const cache = await VectorCache.create({ name: "c", texts, vectorizer, root });
    expect(cache.shape).toEqual([100, 2, 2]);
    expect(cache.row(5).toArray()).toEqual([
      [texts[5]?.length, 1],
      [2, 3],
    ]);
    expect(cache.gather([9, 9]).shape).toEqual([2, 2, 2]);
    expect(cache.masks([0])?.toArray()).toEqual([[1, 1]]);
  });

  test("as many as each has: rows, or filled up", async () => {
    const chunksOf = (text: string) =>
      Array.from({ length: (text.length % 3) + 1 }, (_, i) => [text.length, i]);
    const vectorizer = fromFunction((batch) => batch.map(chunksOf), { model: "m" });
    const cache = await VectorCache.create({ name: "c", texts, vectorizer, root });
    expect(cache.shape).toEqual([100, null, 2]);
    expect(texts.map((_, row) => cache.row(row).toArray())).toEqual(texts.map(chunksOf));
    const padded = cache.gather([0, 1, 2]);
    expect(padded.shape).toEqual([3, 3, 2]);
    const lengths = [0, 1, 2].map((row) => chunksOf(texts[row] as string).length);
    expect(cache.masks([0, 1, 2])?.toArray()).toEqual(
      lengths.map((length) => [0, 1, 2].map((i) => (i < length ? 1 : 0))),
    );
    expect(() => cache.slice()).toThrow(coded("UNSUPPORTED"));
    await expect(cache.nearest([1, 2])).rejects.toThrow(coded("UNSUPPORTED"));
  });

  test("as many as are asked for: filled up or cut, with masks", async () => {
    const chunksOf = (text: string) => Array.from({ length: (text.length % 4) + 1 }, (_, i) => [i + 1, 7]);
    const vectorizer = fromFunction((batch) => batch.map(chunksOf), { model: "m" });
    const cache = await VectorCache.create({ name: "c", texts, vectorizer, root, padTo: 3 });
    expect(cache.shape).toEqual([100, 3, 2]);
    expect(cache.columns).toEqual(["text_id", "embeddings", "masks", "text"]);
    const expected = texts.map((text) => [...chunksOf(text), [0, 0], [0, 0], [0, 0]].slice(0, 3));
    expect(cache.slice().toArray()).toEqual(expected);
    const masks = texts.map((text) => [0, 1, 2].map((i) => (i < chunksOf(text).length ? 1 : 0)));
    expect(cache.masks()?.toArray()).toEqual(masks);
  });

  test("and go on after an interruption with what was counted", async () => {
    const chunksOf = (text: string) => Array.from({ length: (text.length % 3) + 1 }, (_, i) => [i]);
    const create = (name: string, batches: number) => {
      let calls = 0;
      const embed = (batch: readonly string[]) => {
        if (++calls > batches) throw new Error("gone");
        return batch.map(chunksOf);
      };
      const vectorizer = fromFunction(embed, { model: "m" });
      return VectorCache.create({ name, texts, vectorizer, root, batchSize: 10, reuse: false });
    };
    const whole = await create("whole", 99);
    await expect(create("c", 6)).rejects.toThrow(/gone/);
    const cache = await create("c", 5);
    expect(cache.metadata?.all["embeddings"]).toEqual(whole.metadata?.all["embeddings"]);
    expect(texts.map((_, row) => cache.row(row).toArray())).toEqual(texts.map(chunksOf));
  });
});

describe("a cache grows", () => {
  test("by a column of another model, beside the old columns as they are", async () => {
    const cache = await VectorCache.create({ name: "c", texts, vectorizer: counting(), root, numShards: 3 });
    const vectorizer = counting(2, "other");
    const both = await cache.extend({ column: "other", vectorizer, numShards: 2 });
    expect(both).toMatchObject({ name: "c", column: "other", dimension: 2 });
    expect(both.columns).toEqual(["text_id", "embeddings", "text", "other"]);
    expect(both.getEmbeddings().toArray()).toEqual(texts.map((text) => vectorOf(text, 2)));
    const old = await VectorCache.load("c", { root, column: "embeddings" });
    expect(old.getEmbeddings().toArray()).toEqual(texts.map((text) => vectorOf(text)));
    expect(old.text(99)).toBe(texts[99]);
    expect(await both.verify()).toEqual({ compared: 2 });
    expect(both.metadata?.all).toMatchObject({
      model_name: "counting",
      features: ["text_id", "embeddings", "text", "other"],
      embeddings: { model_tag: "counting" },
      other: { model_tag: "other", hidden_size: 2 },
    });
    // Who has the old one open keeps it.
    expect(cache.row(1).toArray()).toEqual(vectorOf(texts[1] as string));

    const again = { column: "other", vectorizer: counting(2, "third") };
    await expect(both.extend(again)).rejects.toThrow(/has a column "other" already/);
    const named = await both.extend({ ...again, overwrite: true, name: "d" });
    expect(named.columns).toEqual(["text_id", "embeddings", "text", "other"]);
    expect(named.info().model).toBe("third");
    expect((await VectorCache.load("c", { root })).info().model).toBe("other");
    await expect(cache.extend({ ...again, column: "features" })).rejects.toThrow(coded("BAD_OPTION"));
  });

  test("from files that are whole; what is damaged is neither copied nor taken for known", async () => {
    const { path } = await VectorCache.create({ name: "c", texts, vectorizer: counting(), root });
    const data = join(path, readdirSync(path).find((name) => name.endsWith(".arrow")) as string);
    const flipped = readFileSync(data);
    flipped[1000] = (flipped[1000] as number) ^ 64;
    rmSync(data);
    writeFileSync(data, flipped);
    const damaged = await VectorCache.load("c", { root });
    for (const how of [{ column: "other" }, { texts: ["more"] }]) {
      await expect(damaged.extend({ ...how, vectorizer: counting() })).rejects.toThrow(
        coded("CHECKSUM_MISMATCH"),
      );
    }
    const again = await VectorCache.create({ name: "d", texts, vectorizer: counting(), root });
    expect(again.getEmbeddings().toArray()).toEqual(texts.map((text) => vectorOf(text)));
  });

  test("by more texts, without embedding the old ones again", async () => {
    const cache = await VectorCache.create({
      name: "c",
      texts: texts.slice(0, 60),
      vectorizer: counting(),
      root,
    });
    const vectorizer = counting();
    const grown = await cache.extend({ texts: texts.slice(60), vectorizer });
    expect(vectorizer.calls.flat()).toEqual(texts.slice(60));
    expect(grown.size).toBe(100);
    expect(grown.getEmbeddings().toArray()).toEqual(texts.map((text) => vectorOf(text)));
    await expect(grown.extend({ texts, vectorizer: counting(3, "other") })).rejects.toThrow(/not "other"/);
  });

  const many = (text: string): number[][] =>
    Array.from({ length: (text.length % 3) + 1 }, (_, i) => [text.length / 7, i]);
  test.each<[string, (text: string) => number[] | number[][], Partial<CreateOptions>, boolean]>([
    ["of float16", (text) => vectorOf(text, 5).map((value) => value / 7), { dtype: "float16" }, true],
    ["of int8", (text) => vectorOf(text, 5).map((value) => value / 300), { dtype: "int8" }, true],
    [
      "of int8 with a scale and a zero point",
      (text) => vectorOf(text, 5),
      { dtype: "int8", quantization: { scale: 0.3, zeroPoint: -90 } },
      true,
    ],
    ["of as many vectors each", (text) => [vectorOf(text), vectorOf(`${text}!`)], {}, true],
    ["as one tensor", (text) => [vectorOf(text), vectorOf(`${text}!`)], {}, true],
    ["of different numbers of vectors", many, {}, true],
    ["of different numbers of vectors, rounded", many, { dtype: "float16" }, true],
    ["filled up, which are embedded again", many, { padTo: 2 }, false],
  ])("by texts with vectors %s, to the same bytes as at once", async (kind, vectorsOf, how, isReused) => {
    const asked: string[] = [];
    const embed = (batch: readonly string[]) => {
      asked.push(...batch);
      const vectors = batch.map(vectorsOf);
      if (kind !== "as one tensor") return vectors as Vectors;
      return new Tensor(Float32Array.from(vectors.flat(2)), [batch.length, 2, 3]);
    };
    const vectorizer = fromFunction(embed, { model: "m" });
    // A text that comes again, in the same batch and in a later one.
    const all = [...texts, ...texts.slice(0, 3), ...texts.slice(60, 63)];
    const whole = await VectorCache.create({
      name: "whole",
      texts: all,
      vectorizer,
      root,
      reuse: false,
      ...how,
    });
    const elsewhere = join(root, "elsewhere");
    const options = { name: "c", texts: all.slice(0, 60), vectorizer, root: elsewhere, ...how };
    const cache = await VectorCache.create(options);
    asked.length = 0;
    const grown = await cache.extend({ texts: all.slice(60), vectorizer });
    const { quantization } = how;
    expect(grown.metadata?.columns.get("embeddings")?.quantization ?? undefined).toEqual(
      how.dtype === "int8" ? (quantization ?? { scale: 1 / 127, zeroPoint: 0 }) : undefined,
    );
    if (isReused)
      expect(asked).toSatisfy((seen: string[]) => seen.every((text) => texts.indexOf(text) >= 60));
    else expect(new Set(asked)).toEqual(new Set(all));
    for (const name of readdirSync(whole.path).filter((file) => file !== "metadata.json")) {
      expect(readFileSync(join(grown.path, name)).equals(readFileSync(join(whole.path, name))), name).toBe(
        true,
      );
    }
    expect(grown.metadata?.all["embeddings"]).toEqual(whole.metadata?.all["embeddings"]);
  });

  test("and takes hardly more than its vectors and the columns beside them, made or extended", async () => {
    const passages = Array.from({ length: 2000 }, (_, i) => `${i} ${"passage ".repeat(60)}`);
    const vectorizer = counting(384);
    const cache = await VectorCache.create({ name: "c", texts: passages, vectorizer, root });
    const ids = 8 * passages.length;
    const kept = passages.reduce((sum, text) => sum + Buffer.byteLength(text), 4 * (passages.length + 1));
    const bytesIn = (path: string) =>
      readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
    const made = 4 * 384 * passages.length + ids + kept;
    expect(bytesIn(cache.path) / made).toBeLessThan(1.01);
    const both = await cache.extend({ column: "other", vectorizer: counting(256, "other") });
    expect(bytesIn(both.path) / (made + 4 * 256 * passages.length)).toBeLessThan(1.01);
  });

  test("with texts from the caller where it keeps none", async () => {
    const options = { name: "c", texts, vectorizer: counting(), root, keepTexts: false };
    const cache = await VectorCache.create(options);
    expect(cache.columns).toEqual(["text_id", "embeddings"]);
    expect(cache.text(0)).toBeNull();
    const vectorizer = counting(2, "other");
    await expect(cache.extend({ column: "other", vectorizer })).rejects.toThrow(/doesn't keep its texts/);
    await expect(cache.extend({ column: "other", vectorizer, texts: ["a"] })).rejects.toThrow(
      coded("BAD_VALUE"),
    );
    await cache.extend({ column: "other", vectorizer, texts });
    expect(vectorizer.calls.flat()).toEqual(texts);
  });
});

describe("work that is not done again", () => {
  test("equal texts are embedded once, also across batches", async () => {
    const vectorizer = counting();
    const repeated = Array.from({ length: 90 }, (_, i) => texts[i % 7] as string);
    const cache = await VectorCache.create({ name: "c", texts: repeated, vectorizer, root, batchSize: 10 });
    expect(vectorizer.calls.flat().length).toBeLessThanOrEqual(17);
    expect(cache.getEmbeddings().toArray()).toEqual(repeated.map((text) => vectorOf(text)));
  });

  test("vectors of equal texts are taken from other caches of the same model", async () => {
    await VectorCache.create({ name: "a", texts, vectorizer: counting(), root });
    const vectorizer = counting();
    const more = ["new", ...texts.slice(50), "newer", ...texts.slice(0, 5)];
    const cache = await VectorCache.create({ name: "b", texts: more, vectorizer, root });
    expect(vectorizer.calls.flat()).toEqual(["new", "newer"]);
    expect(cache.getEmbeddings().toArray()).toEqual(more.map((text) => vectorOf(text)));
    const other = counting(3, "another model");
    await VectorCache.create({ name: "d", texts, vectorizer: other, root });
    expect(other.calls.flat()).toHaveLength(100);
    const again = counting();
    await VectorCache.create({ name: "e", texts, vectorizer: again, root, reuse: false });
    expect(again.calls.flat()).toHaveLength(100);
  });

  test("an interrupted creation goes on at the last finished batch, to the same bytes", async () => {
    const options = { texts, root, batchSize: 10, reuse: false, maxShardSize: 400 };
    const whole = await VectorCache.create({ ...options, name: "whole", vectorizer: counting() });
    const breaking = counting();
    let batches = 0;
    const failing = {
      ...breaking,
      embed: (...args: Parameters<Vectorizer["embed"]>) =>
        ++batches > 6 ? Promise.reject(new Error("gone")) : breaking.embed(...args),
    };
    await expect(VectorCache.create({ ...options, name: "c", vectorizer: failing })).rejects.toThrow(
      coded("VECTORIZER"),
    );
    expect(existsSync(join(root, "c"))).toBe(false);
    expect(await VectorCache.list({ root })).toEqual(["whole"]);
    const vectorizer = counting();
    const onProgress = vi.fn();
    const cache = await VectorCache.create({ ...options, name: "c", vectorizer, onProgress });
    expect(vectorizer.calls.flat()).toEqual(texts.slice(60));
    expect(onProgress.mock.calls[0]?.[0]).toMatchObject({ done: 60, total: 100, rate: 0, remaining: null });
    expect(onProgress.mock.calls.at(-1)?.[0]).toMatchObject({ done: 100, remaining: 0 });
    const names = readdirSync(whole.path)
      .filter((name) => name !== "metadata.json")
      .sort();
    expect(
      readdirSync(cache.path)
        .filter((name) => name !== "metadata.json")
        .sort(),
    ).toEqual(names);
    for (const name of names) {
      expect(readFileSync(join(cache.path, name)).equals(readFileSync(join(whole.path, name))), name).toBe(
        true,
      );
    }
    expect(readdirSync(root).sort()).toEqual(["c", "whole"]);
  });

  test("unless its inputs have changed, or it is not wanted", async () => {
    const abort = new AbortController();
    const options = { name: "c", root, batchSize: 10, reuse: false };
    const aborting = { ...counting(), onlyOnce: true };
    const creation = VectorCache.create({
      ...options,
      texts,
      vectorizer: aborting,
      signal: abort.signal,
      onProgress: ({ done }) => done >= 50 && abort.abort(),
    });
    await expect(creation).rejects.toThrow(coded("ABORTED"));
    const vectorizer = counting();
    await VectorCache.create({ ...options, texts: [...texts.slice(0, -1), "changed"], vectorizer });
    expect(vectorizer.calls.flat()).toHaveLength(100);
    const discarded = VectorCache.create({
      ...options,
      name: "d",
      texts,
      vectorizer: counting(),
      resume: false,
      signal: AbortSignal.abort(),
    });
    await expect(discarded).rejects.toThrow(coded("ABORTED"));
    expect(readdirSync(root).filter((name) => name.startsWith(".tmp_d"))).toEqual([]);
  });
});

describe("vectors that can't be kept are refused, by", () => {
  const cases: [string, (batch: readonly string[]) => unknown, RegExp][] = [
    ["too few", (batch) => batch.slice(1).map(() => [1]), /31 texts instead of 32/],
    ["NaN", (batch) => batch.map((_, i) => [i === 3 ? Number.NaN : 1]), /NaN in vector 3/],
    [
      "another length in a batch",
      (batch) => batch.map((_, i) => Array(i === 3 ? 2 : 1).fill(1)),
      /2 elements for text 3 of a batch, not 1/,
    ],
    ["no elements", (batch) => batch.map(() => []), /without elements/],
    ["nothing", () => undefined, /neither a tensor nor a list/],
    ["strings", (batch) => batch.map(() => "vector"), /something else than a vector/],
  ];

  test.each(cases)("%s", async (_, embed, message) => {
    const vectorizer = fromFunction((batch) => embed(batch) as Vectors, { model: "m" });
    const creation = VectorCache.create({ name: "c", texts, vectorizer, root });
    await expect(creation).rejects.toThrow(coded("VECTORIZER"));
    await expect(creation).rejects.toThrow(message);
    expect(await VectorCache.list({ root })).toEqual([]);
  });

  test("numbers too large for float16, which float32 holds", async () => {
    for (const [largest, kept] of [
      [65_519, true],
      [-65_520, false],
    ] as const) {
      const vectorizer = fromFunction((batch) => batch.map(() => [1, largest]), { model: "m" });
      const options = { name: "c", texts, vectorizer, root, reuse: false };
      const creation = VectorCache.create({ ...options, dtype: "float16" });
      if (kept) await expect(creation).resolves.toMatchObject({ dtype: "float16" });
      else await expect(creation).rejects.toThrow(/-65520, which is too large for float16/);
      await VectorCache.create(options);
    }
  });

  test("another length in a later batch, or than declared", async () => {
    let batches = 0;
    const growing = fromFunction((batch) => batch.map(() => Array(1 + batches).fill(batches++ * 0)), {
      model: "m",
    });
    await expect(VectorCache.create({ name: "c", texts, vectorizer: growing, root })).rejects.toThrow(
      coded("VECTORIZER"),
    );
    const wrong = fromFunction((batch) => batch.map(() => [1, 2]), { model: "m", dimension: 3 });
    await expect(VectorCache.create({ name: "c", texts, vectorizer: wrong, root })).rejects.toThrow(
      /2 elements, not 3/,
    );
  });
});

test("any text can be embedded", async () => {
  const odd = ["", "\ud800 alone", "\0", "long ".repeat(200_000), "", "ok"];
  const seen = counting();
  const cache = await VectorCache.create({ name: "c", texts: odd, vectorizer: seen, root, batchSize: 2 });
  expect(cache.size).toBe(6);
  expect(seen.calls.flat()).toContain("\ufffd alone");
  expect(cache.row(3).at(0)).toBe(1_000_000);
});

test("wrong calls are refused at once", async () => {
  const vectorizer = counting();
  await expect(VectorCache.create({ name: "c", texts: [], vectorizer, root })).rejects.toThrow(/empty/);
  for (const name of ["", ".", "..", "a/b", "a\\b", ".tmp_x", "a\0", "x".repeat(256)]) {
    await expect(VectorCache.create({ name, texts, vectorizer, root })).rejects.toThrow(coded("BAD_OPTION"));
  }
  for (const options of [
    { batchSize: 0 },
    { maxShardSize: "5 parsecs" },
    { numShards: 2, maxShardSize: 1 },
    { numShards: 101 },
  ]) {
    await expect(VectorCache.create({ name: "c", texts, vectorizer, root, ...options })).rejects.toThrow(
      coded("BAD_OPTION"),
    );
  }
  expect(vectorizer.calls).toEqual([]);
});

describe("loading", () => {
  test("says what is missing or damaged, and what to do", async () => {
    const absent = await VectorCache.load("nothing", { root }).catch((error) => error);
    expect(absent).toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
      message: expect.stringMatching(/"nothing" not found in .*root-/),
      fix: expect.stringContaining("VectorCache.create("),
    });
    const { path } = await VectorCache.create({ name: "c", texts, vectorizer: counting(), root });
    const data = join(path, readdirSync(path).find((name) => name.endsWith(".arrow")) as string);
    const bytes = readFileSync(data);
    const metadata = readFileSync(join(path, "metadata.json"), "utf8");

    writeFileSync(join(path, "metadata.json"), metadata.slice(0, 30));
    await expect(VectorCache.load("c", { root })).rejects.toThrow(/"c" is corrupted: metadata.json/);
    writeFileSync(join(path, "metadata.json"), metadata.replace('"num_samples": 100', '"num_samples": 99'));
    await expect(VectorCache.load("c", { root })).rejects.toThrow(/100 rows, and metadata.json says 99/);
    rmSync(join(path, "metadata.json"));
    expect((await VectorCache.load(path)).metadata).toBeNull();
    writeFileSync(join(path, "metadata.json"), metadata);

    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 64] = (flipped[bytes.length - 64] as number) ^ 1;
    rmSync(data);
    writeFileSync(data, flipped);
    await expect((await VectorCache.load("c", { root })).verify()).rejects.toThrow(
      coded("CHECKSUM_MISMATCH"),
    );
    writeFileSync(data, bytes.subarray(0, 1000));
    await expect(VectorCache.load("c", { root })).rejects.toThrow(/loading the vector cache "c" failed/);
    rmSync(join(path, "state.json"));
    await expect(VectorCache.load("c", { root })).rejects.toThrow(coded("CORRUPT"));
  });
});
