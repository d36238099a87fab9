/** safetensors files, both ways with the original package. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFile, saveFile } from "../../src/codecs/files.ts";
import {
  type StateDict,
  safetensorsMetadata,
  withSafetensorsMetadata,
} from "../../src/codecs/safetensors.ts";
import { type DType, dtypes } from "../../src/tensor/dtype.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { findPython, runPython } from "./python.ts";
import { type Facts, factsOf, patterned } from "./tensors.ts";

const python = findPython("safetensors", "numpy");
if (python === undefined) {
  console.warn("safetensors.test.ts: no Python with safetensors, all its tests are skipped");
}

const shared = dtypes.filter((dtype) => dtype !== "complex128");

/** The package's own names, which say more than NumPy's. */
const NAMES: Readonly<Partial<Record<string, DType>>> = {
  BOOL: "bool",
  F8_E4M3: "float8_e4m3fn",
  F8_E4M3FNUZ: "float8_e4m3fnuz",
  F8_E5M2: "float8_e5m2",
  F8_E5M2FNUZ: "float8_e5m2fnuz",
  F8_E8M0: "float8_e8m0fnu",
  BF16: "bfloat16",
  C64: "complex64",
};

function dtypeNamed(name: string): string {
  const words: Record<string, string> = { I: "int", U: "uint", F: "float" };
  return NAMES[name] ?? `${words[name[0] as string]}${name.slice(1)}`;
}

const READ = `
import json, sys
from safetensors import deserialize, safe_open
out = []
for path in json.loads(sys.argv[1]):
    with safe_open(path, framework="np") as opened:
        metadata = opened.metadata()
    tensors = {name: {"dtype": t["dtype"], "shape": t["shape"], "hex": bytes(t["data"]).hex()}
               for name, t in deserialize(open(path, "rb").read())}
    out.append({"metadata": metadata, "tensors": tensors})
print(json.dumps(out))
`;

const WRITE = `
import ctypes, json, sys
from safetensors import TensorSpec, serialize
for path, metadata, tensors in json.loads(sys.argv[1]):
    keep, specs = [], {}
    for name, t in tensors.items():
        data = bytes.fromhex(t["hex"])
        buffer = ctypes.create_string_buffer(data, len(data) or 1)
        keep.append(buffer)
        specs[name] = TensorSpec(dtype=t["dtype"], shape=t["shape"], data_ptr=ctypes.addressof(buffer), data_len=len(data))
    open(path, "wb").write(bytes(serialize(specs, metadata)))
print("null")
`;

interface Read {
  readonly metadata: Record<string, string> | null;
  readonly tensors: Record<string, Facts>;
}

/** Objects of tensors of any type, shape and order. */
const stateDicts = fc.dictionary(
  fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => name !== "__metadata__"),
  fc
    .tuple(fc.constantFrom(...shared), fc.array(fc.nat(5), { maxLength: 4 }), fc.boolean(), fc.nat(1000))
    .map(([dtype, shape, columns, seed]) => patterned(dtype, shape, columns ? "F" : "C", seed)),
  { maxKeys: 8 },
);

const factsOfAll = (value: StateDict): Record<string, Facts> =>
  Object.fromEntries(Object.entries(value).map(([name, tensor]) => [name, factsOf(tensor)]));

describe.skipIf(python === undefined)("with safetensors", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "quiver-safetensors-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const path = (name: string): string => join(folder, `${name}.safetensors`);

  test("it reads every dtype, shape and order that we write, and our metadata", async () => {
    const every = Object.fromEntries(shared.map((dtype) => [dtype, patterned(dtype, [2, 3], "C")]));
    const values: StateDict[] = [every, {}, ...fc.sample(stateDicts, { numRuns: 60, seed: 7 })];
    const paths = values.map((_, i) => path(`ours-${i}`));
    for (const [i, value] of values.entries()) await saveFile(paths[i] as string, value);
    await saveFile(path("texts"), withSafetensorsMetadata(every, { größe: '"1"\n', format: "np" }));
    const found = await runPython<Read[]>(python as string, READ, [...paths, path("texts")]);
    for (const [i, { metadata, tensors }] of found.entries()) {
      const named = Object.entries(tensors).map(([name, facts]) => [
        name,
        { ...facts, dtype: dtypeNamed(facts.dtype) },
      ]);
      expect(Object.fromEntries(named)).toEqual(factsOfAll(values[i] ?? every));
      expect(metadata).toEqual(i < paths.length ? { format: "pt" } : { größe: '"1"\n', format: "np" });
    }
  });

  test("we read what it writes, and write it again as it was", async () => {
    const values = fc.sample(stateDicts, { numRuns: 60, seed: 8 }).map(factsOfAll);
    const files = values.map((tensors, i) => [path(`theirs-${i}`), i % 2 ? { k: "v" } : null, tensors]);
    await runPython(python as string, WRITE, files);
    for (const [i, tensors] of values.entries()) {
      const value = (await loadFile(path(`theirs-${i}`))) as StateDict;
      expect(factsOfAll(value)).toEqual(tensors);
      expect(safetensorsMetadata(value)).toEqual(i % 2 ? { k: "v" } : {});
      await saveFile(path("again"), value);
      expect(factsOfAll((await loadFile(path("again"))) as StateDict)).toEqual(tensors);
    }
  });

  test("damage and unaligned tensors: refused or read as it does, cut short refused at every length", async () => {
    const tensor = (dtype: string, shape: number[], range: [number, number]): object => ({
      dtype,
      shape,
      data_offsets: range,
    });
    const headers = {
      unaligned: { b: tensor("F32", [], [1, 5]), a: tensor("U8", [1], [0, 1]) },
      unknownFields: { a: { ...tensor("U8", [5], [0, 5]), more: { deep: [1] } } },
      noMetadata: { __metadata__: null, a: tensor("U8", [5], [0, 5]) },
      hole: { a: tensor("U8", [1], [0, 1]), b: tensor("U8", [3], [2, 5]) },
      overlap: { a: tensor("U8", [3], [0, 3]), b: tensor("U8", [3], [2, 5]) },
      short: { a: tensor("U8", [6], [0, 6]) },
      long: { a: tensor("U8", [4], [0, 4]) },
      otherSize: { a: tensor("U16", [5], [0, 5]) },
      overflow: { a: tensor("U8", [2 ** 33, 2 ** 33], [0, 5]) },
      unknownType: { a: tensor("u8", [5], [0, 5]) },
    };
    const data = Buffer.from([9, 0, 0, 128, 63]);
    const names = Object.keys(headers);
    for (const [name, header] of Object.entries(headers)) {
      const text = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.byteLength));
      writeFileSync(path(name), Buffer.concat([length, text, data]));
    }
    const theirs = await runPython<boolean[]>(
      python as string,
      `
import json, sys
from safetensors import deserialize, SafetensorError
def reads(path):
    try:
        deserialize(open(path, "rb").read())
        return True
    except SafetensorError:
        return False
print(json.dumps([reads(path) for path in json.loads(sys.argv[1])]))
`,
      names.map(path),
    );
    for (const [i, name] of names.entries()) {
      const ours = loadFile(path(name));
      if (theirs[i]) await ours;
      else await expect(ours, name).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT", path: path(name) });
    }
    expect(theirs.filter(Boolean)).toHaveLength(3);
    const unaligned = (await loadFile(path("unaligned"))) as StateDict;
    expect([unaligned["a"]?.at(0), unaligned["b"]?.at()]).toEqual([9, 1]);

    const whole = readFileSync(path("unaligned"));
    for (let length = 0; length < whole.byteLength; length++) {
      writeFileSync(path("cut"), whole.subarray(0, length));
      await expect(loadFile(path("cut"))).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT" });
    }
  });

  test("what the format lacks is refused", async () => {
    const bad = { code: "ERR_QUIVER_BAD_VALUE" };
    const one = new Tensor(Uint8Array.of(1));
    await expect(saveFile(path("x"), { __metadata__: one })).rejects.toMatchObject(bad);
    await expect(saveFile(path("x"), { "\ud800": one })).rejects.toMatchObject(bad);
    await expect(saveFile(path("x"), one)).rejects.toMatchObject(bad);
    const complex = new Tensor(new Float64Array(2), [1], { dtype: "complex128" });
    await expect(saveFile(path("x"), { complex })).rejects.toMatchObject({ code: "ERR_QUIVER_UNSUPPORTED" });
  });
});
