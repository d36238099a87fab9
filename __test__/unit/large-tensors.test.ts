/** Large mapped tensors, which are shown through windows as long as little of them is asked for. */

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache, loadFile, saveFile, Tensor } from "../../src/index.ts";
import { collectGarbage } from "../../src/shared/collect.ts";

const MIB = 1024 * 1024;
const COLUMNS = 256;
const ROWS = (8 * MIB) / (COLUMNS * 4);

type Matrix = Tensor<Float32Array>;

const values = Float32Array.from({ length: ROWS * COLUMNS }, (_, at) => at);
const rowOf = (row: number): Float32Array => values.subarray(row * COLUMNS, (row + 1) * COLUMNS);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quiver-large-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function isWindow({ buffer }: Float32Array): boolean {
  return buffer.byteLength <= MIB;
}

function sameNumbers(one: Float32Array, other: Float32Array): boolean {
  return one.length === other.length && one.every((value, at) => value === other[at]);
}

/** Rows near and far through windows, then all of it on the same memory. */
async function checkViews(matrix: Matrix): Promise<void> {
  const first = matrix.slice(0, 2).data;
  expect([isWindow(first), matrix.isView]).toEqual([true, true]);
  expect(first.slice(COLUMNS)).toEqual(rowOf(1));
  expect(matrix.row(ROWS - 1).data).toEqual(rowOf(ROWS - 1));
  expect([matrix.at(0, 5), matrix.at(ROWS >> 1, 7)]).toEqual([5, (ROWS >> 1) * COLUMNS + 7]);
  first[3] = -1;
  const all = (await matrix.ready()).data;
  expect([all.length, all[3], isWindow(all)]).toEqual([values.length, -1, false]);
  all[4] = -2;
  expect([first[4], matrix.at(0, 4), matrix.row(0).data[4]]).toEqual([-2, -2, -2]);
  all.set(rowOf(0).subarray(0, 8));
  expect(sameNumbers(all, values)).toBe(true);
}

test.each(["npy", "safetensors"])("a stored %s is the same by parts and as a whole", async (codec) => {
  await using cache = await Cache.open(folder, { durability: "process" });
  const matrices = cache.namespace<Matrix | { m: Matrix }>("matrices", { codec });
  const stored = new Tensor(values, [ROWS, COLUMNS]);
  await matrices.set("matrix", codec === "npy" ? stored : { m: stored });
  const value = await matrices.get("matrix");
  await checkViews(value instanceof Tensor ? value : (value as { m: Matrix }).m);
});

test.each(["npy", "safetensors"])("and so is a file of %s", async (extension) => {
  const path = join(folder, `matrix.${extension}`);
  const stored = new Tensor(values, [ROWS, COLUMNS]);
  await saveFile(path, extension === "npy" ? stored : { m: stored });
  await checkViews((await Tensor.open(path)) as Matrix);
});

describe("a stored matrix", () => {
  test("is shown through a window without what is damaged elsewhere", async () => {
    await using cache = await Cache.open(folder, { durability: "process" });
    const matrices = cache.namespace<Matrix>("matrices", { codec: "npy", layout: "named" });
    await matrices.set("matrix", new Tensor(values, [ROWS, COLUMNS]));
    const file = openSync(join(folder, "matrices", "matrix.npy"), "r+");
    writeSync(file, Buffer.from([77]), 0, 1, 128 + 2000 * COLUMNS * 4 + 1);
    closeSync(file);
    const matrix = (await matrices.get("matrix")) as Matrix;
    expect(matrix.row(0).data).toEqual(rowOf(0));
    expect(() => matrix.row(2000).data).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_CHECKSUM_MISMATCH" }),
    );
  });

  test("is opened once for as long as a row of it is held, and that row for longer than the cache", async () => {
    let row: Float32Array;
    {
      await using cache = await Cache.open(folder, { durability: "process", memoryLimit: 0 });
      const matrices = cache.namespace<Matrix>("matrices", { codec: "npy" });
      await matrices.set("matrix", new Tensor(values, [ROWS, COLUMNS]));
      row = (await matrices.get("matrix"))?.row(1).data as Float32Array;
      row[9] = 42;
      await collectGarbage();
      expect((await matrices.get("matrix"))?.at(1, 9)).toBe(42);
    }
    rmSync(folder, { recursive: true });
    await collectGarbage();
    expect([row[8], row[9]]).toEqual([COLUMNS + 8, 42]);
  });

  test("can't be taken from others through its window", async () => {
    await using cache = await Cache.open(folder, { durability: "process" });
    const matrices = cache.namespace<Matrix>("matrices", { codec: "npy" });
    await matrices.set("matrix", new Tensor(values, [ROWS, COLUMNS]));
    const row = (await matrices.get("matrix"))?.row(3).data as Float32Array;
    const { port1 } = new MessageChannel();
    try {
      port1.postMessage(row, [row.buffer as ArrayBuffer]);
    } catch (error) {
      expect((error as Error).name).toBe("DataCloneError");
    }
    port1.close();
    expect((await matrices.get("matrix"))?.row(3).data).toEqual(rowOf(3));
    expect(row).toEqual(rowOf(3));
  });
});

test("a file whose elements can't be viewed is copied", async () => {
  const header = `${"{'descr': '>f4', 'fortran_order': False, 'shape': (2097152,), }".padEnd(117)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x76\x00${header}`, "latin1");
  const path = join(folder, "big-endian.npy");
  writeFileSync(path, Buffer.concat([head, Buffer.from(values.buffer.slice(0)).swap32()]));
  const tensor = (await loadFile(path)) as Matrix;
  expect(tensor.isView).toBe(false);
  expect(sameNumbers(tensor.data, values)).toBe(true);
});

test("a file that claims more than it has is refused by its first bytes", async () => {
  const path = join(folder, "short.npy");
  await saveFile(path, new Tensor(values));
  writeFileSync(path, readFileSync(path).subarray(0, 6 * MIB));
  await expect(loadFile(path)).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
});
