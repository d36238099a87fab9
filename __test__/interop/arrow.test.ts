/** Arrow files that pyarrow reads as they are, and the other way. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadFile, saveFile, Tensor } from "../../src/index.ts";
import { findPython, runPython } from "./python.ts";

const python = findPython("pyarrow", "numpy");
if (python === undefined) console.warn("arrow.test.ts: no Python with pyarrow, all its tests are skipped");
const folder = mkdtempSync(join(tmpdir(), "quiver-interop-arrow-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(python === undefined)("with pyarrow", () => {
  const run = <T>(script: string, input: unknown): Promise<T> =>
    runPython<T>(python as string, script, input);

  test("reads what was written here without a copy", async () => {
    const path = join(folder, "ours.arrow");
    const vectors = new Tensor(
      Float32Array.from({ length: 12_000 }, (_, i) => i / 4),
      [4000, 3],
    );
    const images = new Tensor(
      Uint8Array.from({ length: 16_000 }, (_, i) => i % 251),
      [4000, 2, 2],
    );
    await saveFile(path, { vectors, images });
    const script = `
import json, sys, numpy, pyarrow as pa
path = json.loads(sys.argv[1])
before = pa.total_allocated_bytes()
table = pa.ipc.open_file(pa.memory_map(path)).read_all()
table.validate(full=True)
vectors = table["vectors"].combine_chunks().chunk(0) if table["vectors"].num_chunks > 1 else table["vectors"].chunk(0)
flat = vectors.values.to_numpy(zero_copy_only=True).reshape(-1, 3)
images = table["images"].chunk(0).values.values.to_numpy(zero_copy_only=True).reshape(-1, 2, 2)
print(json.dumps({"types": [str(field.type) for field in table.schema], "row": flat[3999].tolist(),
  "image": images[7].tolist(), "sum": float(flat.sum(dtype="float64")), "allocated": pa.total_allocated_bytes() - before}))`;
    expect(await run(script, path)).toEqual({
      types: ["fixed_size_list<item: float>[3]", "fixed_size_list<item: fixed_size_list<item: uint8>[2]>[2]"],
      row: vectors.row(3999).toArray(),
      image: images.row(7).toArray(),
      sum: vectors.data.reduce((sum, value) => sum + Number(value), 0),
      allocated: 0,
    });
  });

  test.each(["new_file", "new_stream"])("writes with %s what is read here", async (writer) => {
    const path = join(folder, `${writer}.arrow`);
    const script = `
import json, sys, numpy, pyarrow as pa
path, writer = json.loads(sys.argv[1])
values = numpy.arange(30000, dtype="float64").reshape(-1, 3)
table = pa.table({
  "vectors": pa.FixedSizeListArray.from_arrays(values.ravel(), 3),
  "id": numpy.arange(10000, dtype="int32"),
  "flag": numpy.arange(10000) % 3 == 0,
  "text": [None if i % 5 == 0 else f"text {i}" for i in range(10000)],
})
with getattr(pa.ipc, writer)(path, table.schema) as out:
    out.write_table(table, max_chunksize=4000 if "stream" in writer else None)
print("null")`;
    await run(script, [path, writer]);
    const found = (await loadFile(path)) as Record<string, Tensor & readonly string[]>;
    expect([found["vectors"]?.shape, found["vectors"]?.dtype]).toEqual([[10_000, 3], "float64"]);
    expect(found["vectors"]?.row(9999).toArray()).toEqual([29_997, 29_998, 29_999]);
    expect(found["id"]?.at(9999)).toBe(9999);
    expect(found["flag"]?.slice(0, 4).toArray()).toEqual([true, false, false, true]);
    expect([found["text"]?.[0], found["text"]?.[9999]]).toEqual([null, "text 9999"]);
  });
});
