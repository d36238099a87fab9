/** Datasets without Python: views, copies, options, damage. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseShardSize } from "../../src/datasets/shard-size.ts";
import { Dataset, type DatasetBatch, Tensor } from "../../src/index.ts";

const ROWS = 50;
const WIDTH = 4;

function code(code: string): unknown {
  return expect.objectContaining({ code });
}

describe("datasets", () => {
  let folder: string;
  let dataset: Dataset;
  const values = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => i);
  const matrix = new Tensor(values, [ROWS, WIDTH]);
  const chunks = Array.from({ length: ROWS }, (_, i) => new Tensor(values.slice(0, (i % 3) * 2), [i % 3, 2]));
  const texts = Array.from({ length: ROWS }, (_, i) => (i % 7 === 6 ? null : `row ${i}`));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "quiver-dataset-"));
    const columns = {
      id: Int32Array.from({ length: ROWS }, (_, i) => i),
      matrix,
      chunks,
      texts,
      flags: new Tensor(
        Uint8Array.from({ length: ROWS * 3 }, (_, i) => i & 1),
        [ROWS, 3],
        { dtype: "bool" },
      ),
    };
    dataset = await Dataset.write(join(folder, "data"), columns, { numShards: 3 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("rows of one file are views on one buffer, rows across files one copy", () => {
    const column = dataset.column("matrix");
    expect(column.shape).toEqual([ROWS, WIDTH]);
    const first = column.slice(0, 3);
    expect(first.isView).toBe(true);
    expect(first.data.buffer).toBe(column.row(9)?.data.buffer);
    expect(first.data.byteOffset % 64).toBe(0);
    const across = column.slice(10, 40);
    expect(across.isView).toBe(false);
    expect(across.equals(matrix.slice(10, 40))).toBe(true);
    const views = column.views(10, 40);
    expect(views.map((view) => [view.shape[0], view.isView])).toEqual([
      [7, true],
      [17, true],
      [6, true],
    ]);
    expect(column.toTensor().equals(matrix)).toBe(true);
    expect(column.slice(-3).equals(matrix.slice(-3))).toBe(true);
    expect(column.slice(5, 5).shape).toEqual([0, WIDTH]);
  });

  test("gathers equal those of the tensor, whatever the indices", async () => {
    const column = dataset.column("matrix");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: ROWS - 1 }), { maxLength: 60 }),
        async (indices) => {
          const expected = matrix.gather(indices);
          expect(column.gather(indices).equals(expected)).toBe(true);
          expect((await column.gatherAsync(indices)).equals(expected)).toBe(true);
          const out = new Tensor(new Float32Array(indices.length * WIDTH), [indices.length, WIDTH]);
          expect(column.gather(indices, out)).toBe(out);
        },
      ),
    );
    for (const index of [-1, ROWS, 0.5, Number.NaN, 2 ** 32]) {
      expect(() => column.gather([0, index])).toThrow(code("ERR_QUIVER_OUT_OF_RANGE"));
      expect(() => column.row(index)).toThrow(code("ERR_QUIVER_OUT_OF_RANGE"));
    }
    expect(() => column.gather(Uint32Array.of(ROWS))).toThrow(code("ERR_QUIVER_OUT_OF_RANGE"));
    await expect(column.gatherAsync(Uint32Array.of(ROWS))).rejects.toThrow(code("ERR_QUIVER_OUT_OF_RANGE"));
    expect(() => column.gather([0], new Tensor(new Float32Array(3)))).toThrow(code("ERR_QUIVER_BAD_VALUE"));
  });

  test("rows of different lengths are views, and padded on request", () => {
    const column = dataset.column("chunks");
    expect(column.shape).toEqual([ROWS, null, 2]);
    for (let i = 0; i < ROWS; i++) expect(column.row(i)?.equals(chunks[i] as Tensor)).toBe(true);
    expect(column.row(2)?.isView).toBe(true);
    expect(column.padded([2, 0, 1]).toArray()).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [
        [0, 0],
        [0, 0],
      ],
      [
        [0, 1],
        [0, 0],
      ],
    ]);
    expect(column.padded([2], 1).shape).toEqual([1, 1, 2]);
    expect(() => column.slice()).toThrow(code("ERR_QUIVER_UNSUPPORTED"));
    expect(() => dataset.column("matrix").padded()).toThrow(code("ERR_QUIVER_UNSUPPORTED"));
  });

  test("bools become bytes, texts strings, plain numbers tensors without axes", () => {
    const flags = dataset.column("flags");
    expect(flags.slice(1, 3).toArray()).toEqual([
      [true, false, true],
      [false, true, false],
    ]);
    expect(flags.row(1)?.toArray()).toEqual([true, false, true]);
    expect(dataset.column("texts").texts()).toEqual(texts);
    expect(dataset.column("texts").mask(5, 8).toArray()).toEqual([true, false, true]);
    expect(() => dataset.column("texts").slice()).toThrow(code("ERR_QUIVER_UNSUPPORTED"));
    expect(dataset.column("id").row(7)?.at()).toBe(7);
    expect(() => dataset.column("none")).toThrow(code("ERR_QUIVER_NOT_FOUND"));
  });

  test("batches go through all rows of all columns", () => {
    const batches = [...dataset.batches(20)];
    expect(batches.map((batch) => (batch["matrix"] as Tensor).shape[0])).toEqual([20, 20, 10]);
    expect(batches.flatMap((batch) => batch["texts"] as string[])).toEqual(texts);
    const [chunk] = (batches[1] as DatasetBatch)["chunks"] as Tensor[];
    expect(chunk?.equals(chunks[20] as Tensor)).toBe(true);
    expect(() => [...dataset.batches(0)]).toThrow(code("ERR_QUIVER_BAD_OPTION"));
  });

  test("writing to a view changes neither the file nor what is gathered", () => {
    const column = dataset.column("matrix");
    const view = column.slice(0, 1);
    const before = view.data[0] as number;
    view.data[0] = 77;
    expect(column.gather([0]).data[0]).toBe(before);
    view.data[0] = before;
  });

  test("a folder that is there is replaced whole, or kept", async () => {
    const path = join(folder, "again");
    const old = await Dataset.write(path, { a: Int8Array.of(1, 2, 3) });
    await expect(Dataset.write(path, { a: Int8Array.of(4) }, { replace: false })).rejects.toThrow("exists");
    await expect(
      Dataset.write(path, { a: Int8Array.of(4) }, { signal: AbortSignal.abort() }),
    ).rejects.toThrow(code("ERR_QUIVER_ABORTED"));
    expect((await Dataset.open(path)).rows).toBe(3);
    const next = await Dataset.write(path, { a: Int8Array.of(4) });
    expect([next.rows, old.column("a").toTensor().toArray()]).toEqual([1, [1, 2, 3]]);
    expect(next.fingerprint).not.toBe(old.fingerprint);
    expect(readdirSync(folder).filter((name) => name.startsWith(".tmp_"))).toEqual([]);
  });

  test("refuses columns that don't fit and options that can't be", async () => {
    const path = join(folder, "never");
    const refused = async (columns: unknown, options: object = {}): Promise<unknown> =>
      Dataset.write(path, columns as Record<string, Tensor>, options).catch(
        (error: { code: string }) => error.code,
      );
    expect(await refused({})).toBe("ERR_QUIVER_BAD_VALUE");
    expect(await refused({ a: [1, 2] })).toBe("ERR_QUIVER_BAD_VALUE");
    expect(await refused({ a: Int8Array.of(1), b: Int8Array.of(1, 2) })).toBe("ERR_QUIVER_BAD_VALUE");
    expect(await refused({ a: [new Tensor(new Int8Array(2)), new Tensor(new Int16Array(2))] })).toBe(
      "ERR_QUIVER_BAD_VALUE",
    );
    expect(await refused({ a: new Tensor(new Uint16Array(2), [2], { dtype: "bfloat16" }) })).toBe(
      "ERR_QUIVER_BAD_VALUE",
    );
    const one = { a: Int8Array.of(1) };
    expect(await refused(one, { numShards: 2 })).toBe("ERR_QUIVER_BAD_OPTION");
    expect(await refused(one, { numShards: 1, maxShardSize: 9 })).toBe("ERR_QUIVER_BAD_OPTION");
    expect(await refused(one, { maxShardSize: "a lot" })).toBe("ERR_QUIVER_BAD_OPTION");
    expect(readdirSync(folder)).not.toContain("never");
  });

  test("files are split by size as Python splits them", async () => {
    const write = async (maxShardSize: number): Promise<number> => {
      await Dataset.write(
        join(folder, "split"),
        { v: new Tensor(new Float32Array(70), [7, 10]) },
        { maxShardSize },
      );
      return readdirSync(join(folder, "split")).filter((name) => name.endsWith(".arrow")).length;
    };
    expect([await write(281), await write(280), await write(100), await write(1)]).toEqual([1, 2, 3, 7]);
    expect(["500MB", "1KiB", 7, "2 gb"].map((size) => parseShardSize(size))).toEqual([5e8, 1024, 7, 2e9]);
  });

  test("damage is told by a typed error", async () => {
    const path = join(folder, "damaged");
    const made = await Dataset.write(path, { v: new Tensor(new Float32Array(10_000), [1000, 10]) });
    expect(await made.verify()).toBe(1);
    const [name] = readdirSync(path).filter((entry) => entry.endsWith(".arrow"));
    const file = join(path, name as string);
    const bytes = readFileSync(file);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 100] = 1;
    writeFileSync(file, flipped);
    await expect(made.verify()).rejects.toThrow(code("ERR_QUIVER_CHECKSUM_MISMATCH"));
    truncateSync(file, 8192);
    await expect(Dataset.open(path)).rejects.toThrow(code("ERR_QUIVER_CORRUPT"));
    expect(() => made.column("v").gather(Uint32Array.of(999))).toThrow(code("ERR_QUIVER_CORRUPT"));
    await expect(Dataset.open(join(folder, "none"))).rejects.toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
      path: join(folder, "none"),
    });
  });
});
