/** Dataset folders, both ways with the real Hugging Face datasets. Values are compared through their Arrow columns. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DatasetColumn } from "../../src/datasets/column.ts";
import { Dataset, type DatasetDict } from "../../src/datasets/dataset.ts";
import type { ColumnInput } from "../../src/datasets/input.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { findPython, runPython } from "./python.ts";
import { type Facts, factsOf, patterned } from "./tensors.ts";

const python = findPython("datasets", "pyarrow");
if (python === undefined)
  console.warn("datasets.test.ts: no Python with datasets, all its tests are skipped");

/** What Arrow has of ours. */
const shared: readonly DType[] = [
  "bool",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "float16",
  "int32",
  "uint32",
  "float32",
  "int64",
  "uint64",
  "float64",
];

/** Facts of every row: dtype, shape and bytes of tensors, texts as they are. */
const READ = `
import json, sys
import numpy as np, pyarrow as pa
import datasets
datasets.disable_progress_bars()
def leaf(t):
    while hasattr(t, "storage_type") or pa.types.is_list(t) or pa.types.is_fixed_size_list(t) or pa.types.is_large_list(t):
        t = t.storage_type if hasattr(t, "storage_type") else t.value_type
    return t
def fact(value, dtype):
    if value is None or isinstance(value, str):
        return value
    a = np.asarray(value, dtype=dtype)
    return {"dtype": a.dtype.name, "shape": list(a.shape), "hex": a.tobytes("C").hex()}
def rows(column):
    dtype = leaf(column.type)
    name = "bool" if pa.types.is_boolean(dtype) else "float16" if pa.types.is_float16(dtype) else None if pa.types.is_string(dtype) else str(dtype).replace("halffloat", "float16").replace("double", "float64")
    name = {"float": "float32"}.get(name, name)
    return [fact(value, name) for chunk in column.chunks for value in (chunk.storage if hasattr(chunk, "storage") else chunk).to_pylist()]
def facts(path):
    data = datasets.load_from_disk(path)
    table = data.data.table
    numpy = data.with_format("numpy")
    mapped = data.map(lambda row: {"added": 1}, keep_in_memory=True, load_from_cache_file=False)
    picked = data.select(range(0, len(data), 2))
    return {
        "columns": {name: rows(table.column(name)) for name in data.column_names},
        "features": {name: str(feature) for name, feature in data.features.items()},
        "mapped": len(mapped.column_names) == len(data.column_names) + 1 and len(mapped) == len(data),
        "picked": len(picked[:][data.column_names[0]]),
        "shapes": {name: list(numpy[0][name].shape) for name in data.column_names if len(data) and hasattr(numpy[0][name], "shape")},
    }
print(json.dumps([facts(path) for path in json.loads(sys.argv[1])]))
`;

interface Found {
  readonly columns: Readonly<Record<string, readonly (Facts | string | null)[]>>;
  readonly features: Readonly<Record<string, string>>;
  readonly mapped: boolean;
  readonly picked: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

function rowsOf(column: DatasetColumn): (Facts | string | null)[] {
  if (column.dtype === "string") return column.texts();
  return Array.from({ length: column.rows }, (_, i) => {
    const row = column.row(i);
    return row === null ? null : factsOf(row);
  });
}

function rowsOfInput(input: ColumnInput): (Facts | string | null)[] {
  if (!(input instanceof Tensor)) {
    return [...(input as readonly (Tensor | string | null)[])].map((item) =>
      item instanceof Tensor ? factsOf(item) : item,
    );
  }
  return Array.from({ length: input.shape[0] as number }, (_, i) => factsOf(input.row(i)));
}

/** A list that is empty has lost its inner axes in Python. */
function comparable(rows: readonly (Facts | string | null)[] | undefined): unknown[] | undefined {
  return rows?.map((row) => (typeof row === "object" && row !== null && row.hex === "" ? "empty" : row));
}

/** Rows of 0 to 3 items, each of `inner`. */
function ragged(dtype: DType, rows: number, inner: readonly number[], seed: number): Tensor[] {
  return Array.from({ length: rows }, (_, i) =>
    patterned(dtype, [(i * 7 + seed) % 4, ...inner], "C", seed + i),
  );
}

describe.skipIf(python === undefined)("with Hugging Face datasets", { timeout: 120_000 }, () => {
  let folder: string;
  const read = (paths: readonly string[]): Promise<Found[]> => runPython(python as string, READ, paths);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "quiver-datasets-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("Python loads every dtype and encoding that we write, in one file and in several", async () => {
    const columns: Record<string, ColumnInput> = {};
    // NaN patterns don't survive a detour through Python floats: floats get small whole numbers.
    const whole = (dtype: DType, shape: readonly number[]): Tensor => tame(patterned(dtype, shape, "C"));
    for (const dtype of shared) {
      columns[`plain_${dtype}`] = whole(dtype, [7]);
      columns[`vector_${dtype}`] = whole(dtype, [7, 3]);
      columns[`image_${dtype}`] = whole(dtype, [7, 2, 3]);
      columns[`ragged_${dtype}`] = ragged(dtype, 7, [2], 1).map(tame);
    }
    columns["cube"] = whole("float32", [7, 2, 2, 2]);
    columns["deep"] = whole("int16", [7, 1, 2, 1, 2, 2]);
    columns["lists"] = ragged("int32", 7, [], 2);
    columns["strided"] = tame(patterned("float32", [7, 4], "F"));
    columns["text"] = ["", "é", null, "a\u0000b", "日本", "x", null];
    const paths = [join(folder, "one"), join(folder, "three")];
    await Dataset.write(paths[0] as string, columns);
    await Dataset.write(paths[1] as string, columns, { numShards: 3 });
    for (const found of await read(paths)) {
      for (const [name, input] of Object.entries(columns)) {
        expect(comparable(found.columns[name]), name).toEqual(comparable(rowsOfInput(input)));
      }
      expect(found.mapped).toBe(true);
      expect(found.picked).toBe(4);
      expect(found.features["vector_float32"]).toMatch(/float32.*length=3/);
      expect(found.features["image_uint8"]).toMatch(/Array2D\(shape=\(2, 3\), dtype='uint8'/);
      expect(found.features["cube"]).toMatch(/Array3D/);
      expect(found.shapes["image_uint8"]).toEqual([2, 3]);
      expect(found.shapes["vector_float32"]).toEqual([3]);
    }
  });

  test("Python loads folders without rows", async () => {
    const path = join(folder, "empty");
    await Dataset.write(path, { v: new Tensor(new Float32Array(0), [0, 4]), t: [] });
    const [found] = await read([path]);
    expect(found?.columns).toEqual({ v: [], t: [] });
    expect((await Dataset.open(path)).column("v").shape).toEqual([0, 4]);
  });

  test("we load what Python writes: batches of any size, every encoding, nulls, splits, stray files", async () => {
    mkdirSync(join(folder, "python"));
    const written = await runPython<Record<string, Found["columns"]>>(
      python as string,
      `${READ.slice(0, READ.indexOf("def facts"))}
from datasets import Array2D, Dataset, DatasetDict, Features, LargeList, List, Value, load_from_disk
root = json.loads(sys.argv[1])
rng = np.random.default_rng(1)
n = 23
floats = rng.integers(0, 99, (n, 6)).astype("float32")
made = {
  "default": Dataset.from_dict({"e": floats.tolist(), "label": list(range(n)), "text": [None if i == 3 else "é" * (i % 4) for i in range(n)]}, features=Features({"e": List(Value("float32")), "label": Value("int64"), "text": Value("string")})),
  "fixed": Dataset.from_dict({"e": floats}, features=Features({"e": List(Value("float32"), length=6)})),
  "array": Dataset.from_dict({"e": floats.reshape(n, 2, 3)}, features=Features({"e": Array2D((2, 3), "float32")})),
  "dynamic": Dataset.from_dict({"e": [floats[: i % 3 + 1] for i in range(n)]}, features=Features({"e": Array2D((None, 6), "float32")})),
  "ragged": Dataset.from_dict({"e": [floats[: i % 3].tolist() for i in range(n)]}, features=Features({"e": List(List(Value("float32")))})),
  "large": Dataset.from_dict({"e": floats.tolist()}, features=Features({"e": LargeList(Value("float32"))})),
  "bools": Dataset.from_dict({"e": (floats > 50)}, features=Features({"e": List(Value("bool"), length=6)})),
  "half": Dataset.from_dict({"e": floats.astype("float16")}, features=Features({"e": List(Value("float16"))})),
  "nulls": Dataset.from_dict({"e": [None if i % 5 == 2 else row for i, row in enumerate(floats.tolist())], "n": [None if i == 1 else i for i in range(n)]}, features=Features({"e": List(Value("float32")), "n": Value("int32")})),
}
out = {}
for name, data in made.items():
    path = root + "/" + name
    # Small batches, two files, and a leftover of a transform in the folder.
    data = data.map(lambda row: row, writer_batch_size=4, cache_file_name=root + "/" + name + ".tmp.arrow")
    data.save_to_disk(path, num_shards=2)
    load_from_disk(path).map(lambda row: {"x": 1})
    out[name] = {column: rows(data.data.table.column(column)) for column in data.column_names}
DatasetDict({"train": made["fixed"], "test": made["fixed"].select(range(5))}).save_to_disk(root + "/dict")
print(json.dumps(out))`,
      join(folder, "python"),
    );
    for (const [name, columns] of Object.entries(written)) {
      const dataset = await Dataset.open(join(folder, "python", name));
      expect(dataset.columns, name).toEqual(Object.keys(columns));
      for (const [column, rows] of Object.entries(columns)) {
        expect(comparable(rowsOf(dataset.column(column))), `${name}.${column}`).toEqual(comparable(rows));
      }
    }
    const shape = async (name: string): Promise<unknown> =>
      (await Dataset.open(join(folder, "python", name))).column("e").shape;
    expect(await shape("default")).toEqual([23, 6]);
    expect(await shape("array")).toEqual([23, 2, 3]);
    expect(await shape("dynamic")).toEqual([23, null, 6]);
    expect(await shape("bools")).toEqual([23, 6]);
    const nulls = (await Dataset.open(join(folder, "python", "nulls"))).column("n");
    expect(nulls.nulls).toBe(1);
    expect(nulls.mask(0, 3).toArray()).toEqual([true, false, true]);
    expect(() => nulls.slice()).toThrow(expect.objectContaining({ code: "ERR_QUIVER_UNSUPPORTED" }));
    const dict = await Dataset.open<DatasetDict>(join(folder, "python", "dict"));
    expect(Object.entries(dict).map(([name, split]) => [name, split.rows])).toEqual([
      ["train", 23],
      ["test", 5],
    ]);
  });

  test("any shape of any dtype goes there and back", async () => {
    const cases: { path: string; columns: Record<string, ColumnInput> }[] = [];
    const arbitrary = fc.record({
      dtype: fc.constantFrom(...shared),
      rows: fc.integer({ min: 1, max: 9 }),
      inner: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 }),
      shards: fc.integer({ min: 1, max: 3 }),
    });
    for (const { dtype, rows, inner, shards } of fc.sample(arbitrary, 25)) {
      const path = join(folder, `case-${cases.length}`);
      const columns: Record<string, ColumnInput> = {
        fixed: tame(patterned(dtype, [rows, ...inner], "C")),
        ragged: ragged(dtype, rows, inner.slice(0, 2), rows).map(tame),
      };
      const dataset = await Dataset.write(path, columns, { numShards: Math.min(shards, rows) });
      for (const [name, input] of Object.entries(columns)) {
        expect(rowsOf(dataset.column(name)), `${name} of ${path}`).toEqual(rowsOfInput(input));
      }
      cases.push({ path, columns });
    }
    const found = await read(cases.map(({ path }) => path));
    cases.forEach(({ columns }, i) => {
      for (const [name, input] of Object.entries(columns)) {
        expect(comparable(found[i]?.columns[name])).toEqual(comparable(rowsOfInput(input)));
      }
    });
  });
});

/** Small whole numbers instead of arbitrary bits in floats. */
function tame(tensor: Tensor): Tensor {
  const HALVES = [0, 0x3c00, 0x4000, 0xc200, 0x7bff];
  const values = tensor.memory;
  if (tensor.dtype === "float16") for (let i = 0; i < values.length; i++) values[i] = HALVES[i % 5] as number;
  if (tensor.dtype === "float32" || tensor.dtype === "float64") {
    for (let i = 0; i < values.length; i++) values[i] = (i % 17) - 4.5;
  }
  return tensor;
}
