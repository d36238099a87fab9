/** Files on their own: mapped where their format permits, told by extension or contents, whole or not there at all. */

import { constants } from "node:buffer";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { namedTensors } from "../../src/codecs/pt/contents.ts";
import { loadFile, saveFile, Tensor } from "../../src/index.ts";

const COUNT = 50_000;
const ramp = (count = COUNT, from = 0): Tensor =>
  new Tensor(Float64Array.from({ length: count }, (_, i) => from + i));

const values: Readonly<Record<string, (from: number) => unknown>> = {
  npy: (from) => ramp(COUNT, from),
  npz: (from) => ({ a: ramp(10), b: ramp(COUNT, from) }),
  safetensors: (from) => ({ a: ramp(10), b: ramp(COUNT, from) }),
  arrow: (from) => ({ b: ramp(COUNT, from), c: new Tensor(new Int8Array(COUNT * 2), [COUNT, 2]) }),
  pt: (from) => ({ model: { a: ramp(10), b: ramp(COUNT, from) }, epoch: 3 }),
};

let folder: string;
const path = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quiver-files-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The long tensor of a file. */
async function longOf(file: string, options = {}): Promise<Tensor> {
  const [[, tensor] = []] = namedTensors(await loadFile(file, options)).filter(
    ([, { size }]) => size === COUNT,
  );
  return tensor as Tensor;
}

/** Whether it is a view into the whole file. */
const isInFile = (tensor: Tensor, file: string): boolean =>
  tensor.memory.buffer.byteLength === readFileSync(file).byteLength;

describe.each(Object.keys(values))("%s", (extension) => {
  const save = (file: string, from = 0): Promise<void> => saveFile(file, values[extension]?.(from));

  test("is mapped from 64 KiB on, and read where that is asked for", async () => {
    const file = path(`large.${extension}`);
    await save(file);
    const mapped = await longOf(file);
    const read = await longOf(file, { map: false });
    expect([mapped.at(COUNT - 1), read.at(COUNT - 1)]).toEqual([COUNT - 1, COUNT - 1]);
    expect(isInFile(mapped, file)).toBe(true);
    // What is written into memory stays there, and what is in memory stays with this thread.
    mapped.data[5] = -1;
    expect((await longOf(file)).at(5)).toBe(5);
    structuredClone(mapped.data, { transfer: [mapped.data.buffer as ArrayBuffer] });
    expect(mapped.at(5)).toBe(-1);
  });

  test("stays what it was when the file is replaced", async () => {
    const file = path(`file.${extension}`);
    await save(file);
    const mapped = await longOf(file);
    await save(file, 1_000);
    expect([mapped.at(COUNT - 1), (await longOf(file)).at(COUNT - 1)]).toEqual([COUNT - 1, COUNT + 999]);
    rmSync(file);
    expect(mapped.at(7)).toBe(7);
  });

  test.each([0, 100, 200_000])(
    "cut short to %d bytes in use it is an error, and ends nothing",
    async (length) => {
      const file = path(`file.${extension}`);
      await save(file);
      const mapped = await longOf(file);
      expect(mapped.at(1)).toBe(1);
      truncateSync(file, length);
      const corrupt = expect.objectContaining({ code: "ERR_QUIVER_CORRUPT", path: file });
      expect(() => mapped.at(COUNT - 1)).toThrow(corrupt);
      expect(() => mapped.data).toThrow(corrupt);
      await expect(mapped.ready()).rejects.toEqual(corrupt);
      await expect(loadFile(file)).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
    },
  );

  test("is known by its contents where its name says nothing", async () => {
    await save(path(`file.${extension}`));
    renameSync(path(`file.${extension}`), path("model"));
    expect((await longOf(path("model"))).at(9)).toBe(9);
  });
});

test("what is compressed is inflated, and may be cut short afterwards", async () => {
  const file = path("file.npz");
  await saveFile(file, { b: ramp() }, { compression: "deflate" });
  const tensor = await longOf(file);
  expect(isInFile(tensor, file)).toBe(false);
  truncateSync(file, 10);
  expect(tensor.at(COUNT - 1)).toBe(COUNT - 1);
});

test("Tensor.open takes the only tensor of a file", async () => {
  for (const [name, value] of Object.entries({
    "a.npy": ramp(3),
    "a.npz": { x: ramp(3) },
    "a.pt": [ramp(3)],
    "a.arrow": { x: ramp(3) },
  })) {
    await saveFile(path(name), value);
    expect([...(await Tensor.open(path(name))).data]).toEqual([0, 1, 2]);
  }
  await saveFile(path("two.safetensors"), { x: ramp(1), y: ramp(1) });
  await expect(Tensor.open(path("two.safetensors"))).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_VALUE",
    hint: expect.stringContaining("x, y"),
  });
  await expect(Tensor.open(path("none.npy"))).rejects.toMatchObject({ code: "ERR_QUIVER_NOT_FOUND" });
  await expect(Tensor.open(folder)).rejects.toMatchObject({ code: "ERR_QUIVER_IO" });
});

test("opening costs no memory: of 2 GiB only what is looked at is read", async () => {
  const [file, rows, columns] = [path("sparse.npy"), 1 << 19, 512];
  await saveFile(file, new Tensor(new Float64Array(columns), [1, columns]));
  const header = readFileSync(file).subarray(0, -columns * 8);
  const text = header.toString("latin1").replace(/\(1, 512\), \}( {5})/, `(${rows}, 512), }`);
  expect(text.length).toBe(header.byteLength);
  writeFileSync(file, text, "latin1");
  await using handle = await open(file, "r+");
  await handle.truncate(header.byteLength + rows * columns * 8);
  await handle.write(
    Buffer.from(new Float64Array([7]).buffer),
    0,
    8,
    header.byteLength + (rows - 1) * columns * 8,
  );
  const before = process.memoryUsage.rss();
  const tensor = await Tensor.open(file);
  expect(tensor.shape).toEqual([rows, columns]);
  expect(tensor.row(rows - 1).at(0)).toBe(7);
  expect(tensor.row(rows >> 1).at(0)).toBe(0);
  expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
});

test("a file beyond the longest buffer is refused with the reason", async () => {
  await saveFile(path("long.npy"), ramp(3));
  truncateSync(path("long.npy"), constants.MAX_LENGTH + 1);
  await expect(loadFile(path("long.npy"))).rejects.toMatchObject({ code: "ERR_QUIVER_TOO_LARGE" });
});

test("a value that can't be written leaves the file as it was, and nothing else", async () => {
  await saveFile(path("a.npy"), ramp(3));
  await expect(saveFile(path("a.npy"), { not: "a tensor" })).rejects.toMatchObject({
    code: "ERR_QUIVER_BAD_VALUE",
  });
  await expect(saveFile(path("none/a.npy"), ramp(3))).rejects.toMatchObject({ code: "ERR_QUIVER_NOT_FOUND" });
  expect((await Tensor.open(path("a.npy"))).size).toBe(3);
  expect(readdirSync(folder)).toEqual(["a.npy"]);
});
