/** Vector caches, both ways with the real Hugging Face datasets and numpy. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Dataset, type Neighbor, Tensor, VectorCache } from "../../src/index.ts";
import type { StoredDType } from "../../src/vectors/elements.ts";
import { fromFunction } from "../../src/vectors/vectorizers/function.ts";
import { hashingVectorizer } from "../../src/vectors/vectorizers/hashing.ts";
import type { Vectorizer } from "../../src/vectors/vectorizers/vectorizer.ts";
import { findPython, runPython } from "./python.ts";

const python = findPython("datasets", "pyarrow", "numpy");
if (python === undefined) console.warn("vectors.test.ts: no Python with datasets, all its tests are skipped");

const texts = Array.from({ length: 53 }, (_, i) => `text ${i} ${["", "é", "日本", "\u0000"][i % 4]}`);

/** Vectors of small whole numbers, which every way of writing them down keeps. */
const vectorOf = (text: string): number[] => [text.length, text.charCodeAt(5), -1.5, 0];
const chunksOf = (text: string): number[][] =>
  Array.from({ length: (text.length % 3) + 1 }, (_, i) => [i, text.length]);

const flat = (model = "flat"): Vectorizer => fromFunction((batch) => batch.map(vectorOf), { model });
const chunked = fromFunction((batch) => batch.map(chunksOf), { model: "chunked", contextSize: 512 });

const HEAD = `
import json, os, sys
import numpy as np, pyarrow as pa
import datasets
from datasets import Array2D, Dataset, DatasetDict, Features, List, Value, load_from_disk
datasets.disable_progress_bars()
given = json.loads(sys.argv[1])
`;

describe.skipIf(python === undefined)("with Hugging Face datasets", { timeout: 120_000 }, () => {
  let root: string;
  const run = <T>(script: string, input: unknown): Promise<T> =>
    runPython<T>(python as string, `${HEAD}${script}`, input);

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "quiver-vectors-"));
  });
  afterAll(() => {
    rmSync(root, { recursive: true });
  });

  test("Python loads every kind of cache: values, features, slices, formats, and map", async () => {
    const caches = {
      one: await VectorCache.create({ name: "one", texts, vectorizer: flat(), root }),
      three: await VectorCache.create({ name: "three", texts, vectorizer: flat(), root, numShards: 3 }),
      small: await VectorCache.create({
        name: "small",
        texts,
        vectorizer: flat(),
        root,
        maxShardSize: 300,
        keepTexts: false,
      }),
      half: await VectorCache.create({ name: "half", texts, vectorizer: flat(), root, dtype: "float16" }),
      bytes: await VectorCache.create({
        name: "bytes",
        texts,
        vectorizer: flat(),
        root,
        dtype: "int8",
        quantization: { scale: 0.5, zeroPoint: 3 },
      }),
      ragged: await VectorCache.create({ name: "ragged", texts, vectorizer: chunked, root, numShards: 2 }),
      padded: await VectorCache.create({ name: "padded", texts, vectorizer: chunked, root, padTo: 2 }),
    };
    const both = await caches.three.extend({ column: "chunked", vectorizer: chunked, name: "both" });
    const cube = fromFunction(
      (batch) =>
        new Tensor(Float32Array.from(batch.flatMap((text) => chunkCube(text))), [batch.length, 2, 3]),
      { model: "cube" },
    );
    await VectorCache.create({ name: "cube", texts, vectorizer: cube, root });
    interface Seen {
      readonly columns: Readonly<Record<string, unknown[]>>;
      readonly features: Readonly<Record<string, string>>;
      readonly shape: readonly number[] | null;
      readonly dtype: string | null;
      readonly mapped: readonly [number, string[]];
      readonly part: unknown[];
      readonly metadata: Readonly<Record<string, unknown>>;
    }
    const seen = await run<Record<string, Seen>>(
      `
out = {}
for name in given["names"]:
    path = os.path.join(given["root"], name)
    data = load_from_disk(path)
    numpy = data.with_format("numpy")["embeddings"][:] if name not in ("ragged",) else None
    mapped = data.map(lambda row: {"norm": 1.0}, keep_in_memory=True, load_from_cache_file=False)
    out[name] = {
        "columns": {column: data.data.table.column(column).to_pylist() for column in data.column_names},
        "features": {column: str(feature) for column, feature in data.features.items()},
        "shape": None if numpy is None else list(np.asarray(numpy).shape),
        "dtype": None if numpy is None else str(np.asarray(numpy).dtype),
        "mapped": [len(mapped), mapped.column_names],
        "part": data[10:13]["text_id"],
        "metadata": json.load(open(os.path.join(path, "metadata.json"))),
    }
print(json.dumps(out))`,
      { root, names: [...Object.keys(caches), "both", "cube"] },
    );
    for (const [name, { columns, features, mapped, part, metadata }] of Object.entries(seen)) {
      expect(columns["text_id"], name).toEqual(texts.map((_, i) => i));
      expect(features["text_id"]).toBe("Value('int64')");
      if (name !== "small") expect(columns["text"]).toEqual(texts);
      expect(mapped[0]).toBe(texts.length);
      expect(mapped[1]).toContain("norm");
      expect(part).toEqual([10, 11, 12]);
      expect(metadata["features"], name).toEqual(Object.keys(columns));
      expect(metadata["num_observations"]).toBe(texts.length);
    }
    const exact = texts.map(vectorOf);
    for (const name of ["one", "three", "small", "half", "both"]) {
      expect(seen[name]?.columns["embeddings"], name).toEqual(exact);
      expect(seen[name]?.shape).toEqual([53, 4]);
      // Its numpy format makes float32 of every float.
      expect(seen[name]?.dtype).toBe("float32");
    }
    expect(seen["one"]?.features["embeddings"]).toMatch(/float32.*length=4/);
    expect(seen["bytes"]?.columns["embeddings"]).toEqual(
      exact.map((row) => row.map((value) => Math.min(Math.round(value / 0.5) + 3, 127))),
    );
    expect(seen["ragged"]?.columns["embeddings"]).toEqual(texts.map(chunksOf));
    expect(seen["both"]?.columns["chunked"]).toEqual(texts.map(chunksOf));
    expect(seen["both"]?.metadata["chunked"]).toMatchObject({ tensordtype: 2, context_size: 512 });
    const padded = texts.map((text) => [...chunksOf(text), [0, 0]].slice(0, 2));
    expect(seen["padded"]?.columns["embeddings"]).toEqual(padded);
    expect(seen["padded"]?.columns["masks"]).toEqual(
      texts.map((text) => [1, chunksOf(text).length > 1 ? 1 : 0]),
    );
    expect(seen["cube"]?.features["embeddings"]).toMatch(/Array2D\(shape=\(2, 3\), dtype='float32'/);
    expect(seen["cube"]?.shape).toEqual([53, 2, 3]);
    expect(both.row(7).toArray()).toEqual(chunksOf(texts[7] as string));
  });

  test("a cache that Python extends and saves again loads here, without the digests of other files", async () => {
    await VectorCache.create({ name: "source", texts, vectorizer: flat(), root });
    await run(
      `
source, target = os.path.join(given, "source"), os.path.join(given, "extended")
data = load_from_disk(source)
extended = data.map(lambda rows: {"regex": [[float(len(t)), 1.0] for t in rows["text"]]}, batched=True, batch_size=7)
extended = extended.cast_column("regex", List(Value("float32")))
extended.save_to_disk(target, num_shards=2)
metadata = json.load(open(source + "/metadata.json"))
metadata.update({"features": extended.column_names, "created_at": "2026-01-14T10:10:11.000001", "regex": {"model_tag": "regex", "tensordtype": 1, "hidden_size": 2}})
json.dump(metadata, open(target + "/metadata.json", "w"))
print("null")`,
      root,
    );
    const extended = await VectorCache.load("extended", { root });
    expect(extended).toMatchObject({ column: "regex", shape: [53, 2] });
    expect(extended.getEmbeddings().toArray()).toEqual(texts.map((text) => [text.length, 1]));
    expect(await extended.verify()).toEqual({ compared: 0 });
    const old = await VectorCache.load("extended", { root, column: "embeddings" });
    const source = await VectorCache.load("source", { root });
    expect(bytesOf(old.getEmbeddings())).toEqual(bytesOf(source.getEmbeddings()));
    expect(old.info().model).toBe("flat");
    // What Python left in the folder that it read is no damage.
    expect(await source.verify()).toEqual({ compared: 1 });
  });

  test("all layouts that Python has written load", async () => {
    const folder = join(root, "layouts");
    mkdirSync(folder);
    await run(
      `
n = 23
vectors = [[float(i), i / 2, 1.0] for i in range(n)]
chunks = [[[float(i), float(j)] for j in range(i % 3 + 1)] for i in range(n)]
flat = lambda **more: {"vectormesh_version": "0.1.0", "model_name": "owner/model", "embedding_dim": 3, "num_samples": n, "created_at": "2026-01-02T10:30:00.123456", "cache_format": "huggingface_datasets_v1", **more}
column = lambda rank, size: {"vectormesh_version": "0.1.0", "model_tag": "owner/model", "vectorizer_type": "Vectorizer", "tensordtype": rank, "hidden_size": size, "context_size": 512, "chunk_sizes": {"1": 8, "2": 8, "3": 7} if rank == 2 else None}
floats, lists = List(Value("float32")), List(List(Value("float32")))
def save(path, data, metadata):
    data.save_to_disk(os.path.join(given, path))
    where = path.removesuffix("/dataset")
    json.dump(metadata, open(os.path.join(given, where, "metadata.json"), "w"))
save("first/dataset", Dataset.from_dict({"embeddings": vectors, "text_id": list(range(n))}, features=Features({"embeddings": floats, "text_id": Value("int64")})), flat())
save("first_3d/dataset", Dataset.from_dict({"embeddings": [c[:1] for c in chunks], "text_id": list(range(n))}, features=Features({"embeddings": lists, "text_id": Value("int64")})), flat(output_mode="3d", embedding_dim=1))
save("second_1d_3", Dataset.from_dict({"text": ["t"] * n, "labels": [[i] for i in range(n)], "embedding": vectors}, features=Features({"text": Value("string"), "labels": List(Value("int64")), "embedding": floats})), {"vectormesh_version": "0.1.0", "model_tag": "owner/model", "vectorizer_type": "Vectorizer", "tensordtype": 1, "hidden_size": 3, "context_size": 512, "chunk_sizes": None, "created_at": "2026-01-11T10:30:00", "num_observations": n})
by_column = {"legal": column(2, 2), "features": ["text", "legal"], "created_at": "2026-01-14T10:10:11.000001", "num_observations": n}
fourth = Dataset.from_dict({"text": ["t"] * n, "legal": chunks}, features=Features({"text": Value("string"), "legal": lists}))
save("tag_legal", fourth, by_column)
save("20260114101011_tag_legal", fourth, by_column)
save("fifth", Dataset.from_dict({"embeddings": np.ones((n, 4, 2), "float32"), "masks": np.ones((n, 4), bool)}, features=Features({"embeddings": Array2D((4, 2), "float32"), "masks": List(Value("bool"), length=4)})), flat(output_mode="3d"))
save("nested", Dataset.from_dict({"embeddings": np.arange(n * 8, dtype="float32").reshape(n, 1, 4, 2)}, features=Features({"embeddings": List(List(List(Value("float32"), length=2), length=4), length=1)})), flat(output_mode="3d"))
fourth.save_to_disk(os.path.join(given, "bare"))
DatasetDict({"train": fourth}).save_to_disk(os.path.join(given, "dict"))
print("null")`,
      folder,
    );
    const load = (name: string): Promise<VectorCache> => VectorCache.load(name, { root: folder });
    const first = await load("first");
    expect(first).toMatchObject({ shape: [23, 3], columns: ["embeddings", "text_id"], dtype: "float32" });
    expect(first.row(5).toArray()).toEqual([5, 2.5, 1]);
    expect(first.info()).toMatchObject({
      model: "owner/model",
      createdAt: new Date(2026, 0, 2, 10, 30, 0, 123),
    });
    // The dimension is read from the data; the metadata of this version give the number of chunks.
    expect(await load("first_3d")).toMatchObject({ shape: [23, 1, 2], dimension: 2 });
    expect(await load("second_1d_3")).toMatchObject({ column: "embedding", shape: [23, 3] });
    for (const name of ["tag_legal", "20260114101011_tag_legal"]) {
      const cache = await load(name);
      expect(cache).toMatchObject({ column: "legal", shape: [23, null, 2], name });
      expect(cache.row(5).toArray()).toEqual([
        [5, 0],
        [5, 1],
        [5, 2],
      ]);
      expect(cache.masks([0, 5])?.toArray()).toEqual([
        [1, 0, 0],
        [1, 1, 1],
      ]);
    }
    const fifth = await load("fifth");
    expect(fifth.shape).toEqual([23, 4, 2]);
    expect(fifth.masks([0])?.toArray()).toEqual([[1, 1, 1, 1]]);
    const nested = await load("nested");
    expect(nested.shape).toEqual([23, 4, 2]);
    expect(nested.row(1).toArray()).toEqual([
      [8, 9],
      [10, 11],
      [12, 13],
      [14, 15],
    ]);
    expect((await VectorCache.load(join(folder, "bare"), { column: "legal" })).metadata).toBeNull();
    await expect(load("dict")).rejects.toThrow(/DatasetDict/);
    expect(await VectorCache.list({ root: folder })).toEqual([
      "20260114101011_tag_legal",
      "bare",
      "fifth",
      "first",
      "first_3d",
      "nested",
      "second_1d_3",
      "tag_legal",
    ]);
  });

  test.each(["float32", "float16", "int8"] satisfies StoredDType[])(
    "nearest of %s are numpy's",
    async (dtype) => {
      const vectorizer = hashingVectorizer({ dimension: 48 });
      const many = Array.from({ length: 3000 }, (_, i) => `${(i * i) % 1009} ${(i * 31) % 499} word${i % 7}`);
      const cache = await VectorCache.create({
        name: `nearest-${dtype}`,
        texts: many,
        vectorizer,
        root,
        dtype,
        numShards: 3,
      });
      const queries = (await vectorizer.embed(many.slice(0, 20), {})) as Tensor;
      const metrics = ["dot", "cosine", "euclidean"] as const;
      const expected = await run<Record<string, number[][]>>(
        `
data = load_from_disk(given["path"]).with_format("numpy")["embeddings"][:]
data = np.asarray(data).astype("float64") * (1 / 127 if given["dtype"] == "int8" else 1)
q = np.asarray(given["queries"], "float32").astype("float64")
dot = q @ data.T
scores = {
    "dot": dot,
    "cosine": dot / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(data, axis=1)[None],
    "euclidean": -np.linalg.norm(q[:, None] - data[None], axis=2),
}
print(json.dumps({metric: [np.sort(row)[::-1][:10].tolist() for row in score] for metric, score in scores.items()}))`,
        { path: cache.path, queries: queries.toArray(), dtype },
      );
      for (const metric of metrics) {
        const found = (await cache.nearest(queries, { k: 10, metric })) as Neighbor[][];
        const sign = metric === "euclidean" ? -1 : 1;
        found.forEach((neighbors, query) => {
          neighbors.forEach(({ score }, i) => {
            expect(score * sign, metric).toBeCloseTo(expected[metric]?.[query]?.[i] as number, 4);
          });
        });
        expect(found.map(([best]) => best?.row).slice(0, 3)).toEqual([0, 1, 2]);
      }
    },
  );

  test("a folder is a dataset too, zero-copy", async () => {
    const cache = await VectorCache.create({ name: "view", texts, vectorizer: flat(), root });
    const dataset = await Dataset.open(cache.path);
    const column = dataset.column("embeddings");
    expect(column.slice(3, 40).isView).toBe(true);
    expect(column.slice(3, 40).toArray()).toEqual(texts.slice(3, 40).map(vectorOf));
    expect(JSON.parse(readFileSync(join(cache.path, "state.json"), "utf8"))._data_files).toHaveLength(1);
  });
});

function chunkCube(text: string): number[] {
  return [text.length, 1, 2, 3, 4, 5];
}

function bytesOf(tensor: Tensor): Buffer {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
