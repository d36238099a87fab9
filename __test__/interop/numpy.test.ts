/** npy and npz files, both ways with the real NumPy. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isNumPyType } from "../../src/codecs/array.ts";
import { loadFile, saveFile } from "../../src/codecs/files.ts";
import { dtypes } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { findPython, runPython } from "./python.ts";
import { type Facts, factsOf, patterned } from "./tensors.ts";

const python = findPython("numpy");
if (python === undefined) console.warn("numpy.test.ts: no Python with numpy, all its tests are skipped");

/** Everything NumPy has. */
const shared = dtypes.filter(isNumPyType);

const READ = `
import json, sys
import numpy as np
out = []
for path in json.loads(sys.argv[1]):
    def facts(a):
        a = np.asarray(a)
        return {"dtype": a.dtype.newbyteorder("=").name, "shape": a.shape, "hex": a.astype(a.dtype.newbyteorder("<")).tobytes("C").hex()}
    value = np.load(path, allow_pickle=False)
    if path.endswith(".npz"):
        out.append({name: facts(value[name]) for name in value.files})
    else:
        mapped = np.load(path, mmap_mode="r") if value.size else value
        assert isinstance(mapped, np.memmap) or not value.size
        assert facts(mapped) == facts(value)
        out.append(facts(value))
print(json.dumps(out))
`;

describe.skipIf(python === undefined)("with NumPy", () => {
  let folder: string;
  const read = (paths: readonly string[]): Promise<unknown[]> => runPython(python as string, READ, paths);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "quiver-numpy-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("numpy reads every dtype, order and odd shape that we write", async () => {
    const shapes: readonly (readonly number[])[] = [[], [0], [0, 4], [3], [1], [2, 3], [2, 3, 4], [1, 5, 1]];
    const cases = shared.flatMap((dtype) =>
      shapes.flatMap((shape) => (["C", "F"] as const).map((order) => patterned(dtype, shape, order))),
    );
    const paths = cases.map((_, i) => join(folder, `dtype-${i}.npy`));
    await Promise.all(cases.map((tensor, i) => saveFile(paths[i] as string, tensor)));
    const found = await read(paths);
    cases.forEach((tensor, i) => {
      expect(found[i]).toEqual(factsOf(tensor));
    });
  });

  test("numpy reads random shapes and strided views, npy and npz", async () => {
    const shapes = fc.sample(
      fc.tuple(fc.array(fc.nat(7), { maxLength: 5 }), fc.constantFrom(...shared), fc.boolean(), fc.nat(1000)),
      { numRuns: 150, seed: 42 },
    );
    const tensors = shapes.map(([shape, dtype, columns, seed]) => {
      const tensor = patterned(dtype, shape, columns ? "F" : "C", seed);
      return shape.length > 0 && seed % 3 === 0 ? tensor.slice(1) : tensor;
    });
    const npy = tensors.map((_, i) => join(folder, `shape-${i}.npy`));
    await Promise.all(tensors.map((tensor, i) => saveFile(npy[i] as string, tensor)));
    const compressions = ["none", "deflate", undefined] as const;
    const npz = compressions.map((_, i) => join(folder, `shapes-${i}.npz`));
    const named = Object.fromEntries(tensors.map((tensor, i) => [`größe/${i}`, tensor]));
    for (const [i, compression] of compressions.entries()) {
      await saveFile(npz[i] as string, named, compression === undefined ? {} : { compression });
    }
    const found = await read([...npy, ...npz]);
    const expected = tensors.map(factsOf);
    expect(found.slice(0, tensors.length)).toEqual(expected);
    for (const archive of found.slice(tensors.length)) {
      expect(archive).toEqual(Object.fromEntries(expected.map((facts, i) => [`größe/${i}`, facts])));
    }
  });

  test("an npy file of ours is numpy's own, byte for byte", async () => {
    const script = `
import json, sys
import numpy as np
folder = json.loads(sys.argv[1])
for name, array in {
    "a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.float64(1.5), "c": np.zeros((0, 4), "<i2"),
    "d": np.asfortranarray(np.arange(6, dtype="<i8").reshape(2, 3)), "e": np.zeros(123456, "|b1"),
}.items():
    np.save(f"{folder}/{name}.npy", array)
print("null")
`;
    await runPython(python as string, script, folder);
    for (const name of ["a", "b", "c", "d", "e"]) {
      const path = join(folder, `${name}.npy`);
      const copy = join(folder, `${name}-copy.npy`);
      await saveFile(copy, await loadFile(path));
      expect(readFileSync(copy).equals(readFileSync(path))).toBe(true);
    }
  });

  const withSmallFloats = findPython("numpy", "ml_dtypes");
  test.skipIf(withSmallFloats === undefined)(
    "every pattern of the small floats has the value that ml_dtypes gives it",
    async () => {
      const small = dtypes.filter((dtype) => dtype.startsWith("float8"));
      const script = `
import json, sys
import ml_dtypes, numpy as np
values = {name: np.arange(256, dtype="u1").view(getattr(ml_dtypes, name)).astype("f8") for name in json.loads(sys.argv[1])}
print(json.dumps({name: [str(float(x)) for x in v] for name, v in values.items()}))
`;
      const expected = await runPython<Record<string, string[]>>(withSmallFloats as string, script, small);
      const numbers = (texts: readonly string[] = []): number[] =>
        texts.map((text) => Number(text.replace("inf", "Infinity")));
      const patterns = Uint8Array.from({ length: 256 }, (_, i) => i);
      expect(small).toHaveLength(5);
      for (const dtype of small) {
        expect(new Tensor(patterns, [256], { dtype }).toArray()).toEqual(numbers(expected[dtype]));
      }
    },
  );

  test("we read what numpy writes: dtypes, byte orders, orders, random shapes", async () => {
    const script = `
import json, sys
import numpy as np
folder = json.loads(sys.argv[1])
rng = np.random.default_rng(7)
out = []
def add(array, **kwargs):
    path = f"{folder}/numpy-{len(out)}.npy"
    np.save(path, array)
    little = array.astype(array.dtype.newbyteorder("<"))
    out.append({"path": path, "dtype": array.dtype.newbyteorder("=").name, "shape": array.shape, "hex": little.tobytes("C").hex()})
for dtype in ${JSON.stringify(shared)}:
    for order in "<>":
        for shape in [(), (0,), (3, 0, 2), (1,), (5,), (2, 3), (4, 1, 3), (2, 2, 2, 2)]:
            array = np.frombuffer(rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize), dtype).reshape(shape)
            if dtype == "bool": array = array.view("u1") % 2 == 1
            array = array.astype(array.dtype.newbyteorder(order))
            add(array)
            add(np.asfortranarray(array))
            add(array.T)
            if array.ndim: add(array[::2])
print(json.dumps(out))
`;
    const written = await runPython<(Facts & { path: string })[]>(python as string, script, folder);
    expect(written.length).toBeGreaterThan(800);
    for (const { path, ...facts } of written) {
      const tensor = await loadFile(path);
      expect(factsOf(tensor as Tensor)).toEqual(facts);
    }
  });

  test("we read the archives of savez, savez_compressed and of a pipe", async () => {
    const script = `
import io, json, sys, zipfile
import numpy as np
folder = json.loads(sys.argv[1])
a, b = np.arange(5.0), np.arange(12, dtype=">i4").reshape(3, 4)
np.savez(f"{folder}/stored.npz", a, named=b)
np.savez_compressed(f"{folder}/deflated.npz", a, named=b)
np.savez(f"{folder}/sole.npz", data=a)
np.savez(f"{folder}/other.npz", weights=a)
np.savez(f"{folder}/none.npz")
class Pipe(io.RawIOBase):
    def __init__(self): self.bytes = b""
    def writable(self): return True
    def write(self, b): self.bytes += bytes(b); return len(b)
pipe = Pipe()
np.savez(pipe, a, named=b)
open(f"{folder}/piped.npz", "wb").write(pipe.bytes)
with zipfile.ZipFile(f"{folder}/mixed.npz", "w") as z:
    z.writestr("notes.txt", "plain")
print("null")
`;
    await runPython(python as string, script, folder);
    const a = new Tensor(Float64Array.of(0, 1, 2, 3, 4));
    const b = new Tensor(
      Int32Array.from({ length: 12 }, (_, i) => i),
      [3, 4],
    );
    for (const name of ["stored", "deflated", "piped"]) {
      const value = (await loadFile(join(folder, `${name}.npz`))) as Record<string, Tensor>;
      expect(Object.keys(value).sort()).toEqual(["arr_0", "named"]);
      expect(value["arr_0"]?.equals(a)).toBe(true);
      expect(value["named"]?.equals(b)).toBe(true);
    }
    expect(((await loadFile(join(folder, "sole.npz"))) as Tensor).equals(a)).toBe(true);
    expect(Object.keys((await loadFile(join(folder, "other.npz"))) as object)).toEqual(["weights"]);
    expect(await loadFile(join(folder, "none.npz"))).toEqual({});
    const mixed = (await loadFile(join(folder, "mixed.npz"))) as Record<string, Uint8Array>;
    expect(Buffer.from(mixed["notes.txt"] as Uint8Array).toString()).toBe("plain");
  });

  test("arrays that are no plain numbers are refused by name", async () => {
    const script = `
import json, sys
import numpy as np
import ml_dtypes
folder = json.loads(sys.argv[1])
arrays = {
    "object": np.array([{}, None], dtype=object), "fields": np.zeros(2, [("a", "<i4"), ("b", "<f8", (2,))]),
    "text": np.array(["abc"]), "bytes": np.array([b"abc"]), "dates": np.array(["2020-01-01"], dtype="M8[D]"),
    "raw": np.zeros(2, "V5"), "bfloat16": np.zeros(2, ml_dtypes.bfloat16), "long": np.zeros(2, np.longdouble),
}
for name, array in arrays.items():
    np.save(f"{folder}/{name}.npy", array, allow_pickle=True)
    np.savez(f"{folder}/{name}.npz", array)
print(json.dumps(list(arrays)))
`;
    const names = await runPython<string[]>(python as string, script, folder);
    for (const name of names) {
      for (const extension of ["npy", "npz"]) {
        const path = join(folder, `${name}.${extension}`);
        await expect(loadFile(path)).rejects.toMatchObject({ code: "ERR_QUIVER_UNSUPPORTED", path });
      }
    }
  });

  test("numpy refuses the archives that we refuse for a wrong CRC", async () => {
    const path = join(folder, "damaged.npz");
    await saveFile(path, { a: patterned("uint8", [1000], "C") }, { compression: "none" });
    const bytes = readFileSync(path);
    bytes[500] = (bytes[500] as number) ^ 1;
    writeFileSync(path, bytes);
    await expect(loadFile(path)).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
    await expect(read([path])).rejects.toThrow("BadZipFile");
  });
});
