/** The pt codec without PyTorch: what it refuses, shares and keeps; a surrogate through a cache. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ArchiveWriter } from "../../src/codecs/archive.ts";
import type { EncodedValue } from "../../src/codecs/codec.ts";
import { loadFile } from "../../src/codecs/files.ts";
import { npz } from "../../src/codecs/npz.ts";
import { PythonObject, Tuple } from "../../src/codecs/pt/python.ts";
import { pt } from "../../src/codecs/pt.ts";
import { codecByFile } from "../../src/codecs/registry.ts";
import { crcOf } from "../../src/codecs/slices.ts";
import { type SimulationCategory, simulationCache } from "../../src/simulation/index.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const plain = { mapped: false };
const joined = ({ parts }: EncodedValue): Uint8Array => new Uint8Array(Buffer.concat(parts));
const bytesFrom = async (value: unknown): Promise<Uint8Array> => joined(await pt.encode(value, {}));
const roundTrip = async (value: unknown): Promise<unknown> => pt.decode(await bytesFrom(value), plain);
const ramp = (count: number): Tensor => new Tensor(Float32Array.from({ length: count }, (_, i) => i));

/** An archive of members as given, nothing checked. */
function archive(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const writer = new ArchiveWriter();
  for (const [name, bytes] of Object.entries(members)) {
    const [crc, size] = [crcOf(bytes), bytes.byteLength];
    writer.add({ name, pieces: [bytes], crc, size, deflated: false });
  }
  return joined(writer.finish());
}

describe("pt", () => {
  test("values come back as they were", async () => {
    const value = {
      model: { "0.weight": ramp(6), "0.bias": ramp(2) },
      state: new Map<unknown, unknown>([
        [0, { step: 1.5, exp: ramp(3) }],
        [new Tuple([1, "a"]), null],
      ]),
      list: [1, -0, Number.NaN, 2n ** 70n, true, "text", Uint8Array.of(1, 200)],
      device: new PythonObject("torch.device", new Tuple(["cpu"])),
      set: new Set([1, 2]),
    };
    expect(await roundTrip(value)).toEqual(value);
    const encoded = await bytesFrom(value);
    // Tensors compare by their facts only; written again, their elements count as well.
    expect(await bytesFrom(pt.decode(encoded, plain))).toEqual(encoded);
    expect(await bytesFrom(await pt.decodeAsync?.(encoded, plain))).toEqual(encoded);
    expect(pt.accepts(value)).toBe(true);
  });

  test("shared objects, cycles and shared memory stay shared; a slice brings nothing along", async () => {
    const whole = ramp(1000);
    const list: unknown[] = [];
    list.push(list);
    const value = { whole, again: whole, part: whole.slice(10, 20), list };
    const read = (await roundTrip(value)) as typeof value;
    expect(read.list[0]).toBe(read.list);
    expect(read.whole).toBe(read.again);
    expect(read.part.memory.buffer).toBe(read.whole.memory.buffer);
    expect(read.part.memory.byteOffset - read.whole.memory.byteOffset).toBe(40);
    expect((await bytesFrom(whole.slice(10, 20))).byteLength).toBeLessThan(3_000);
  });

  test("what Python could not have is refused, with the way out", async () => {
    const bad = { code: "ERR_QUIVER_BAD_VALUE", fix: expect.stringContaining("Tensor") };
    const tuple = new Tuple([[] as unknown[]]);
    (tuple.items[0] as unknown[]).push(tuple);
    let deep: unknown = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const values = [undefined, () => 1, Symbol("x"), new Date(), new Float32Array(1), "\ud800", tuple, deep];
    for (const value of [...values, 2n ** 2048n]) {
      await expect(pt.encode({ value }, {}), String(typeof value)).rejects.toMatchObject(bad);
    }
  });

  test("archives that are none of torch.save are refused", async () => {
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    const program = text("\x80\x02N.").filter((byte) => byte !== 0xc2);
    const whole = { "a/data.pkl": program, "a/version": text("3\n") };
    expect(pt.decode(archive(whole), plain)).toBe(null);
    expect(pt.decode(archive({ ...whole, "a/byteorder": text("big"), "a/more": text("x") }), plain)).toBe(
      null,
    );
    for (const [members, code] of [
      [{}, "CORRUPT"],
      [{ "a/version": text("3") }, "CORRUPT"],
      [{ "a/data.pkl": program }, "CORRUPT"],
      [{ ...whole, "b/data/0": text("x") }, "CORRUPT"],
      [{ ...whole, loose: text("x") }, "CORRUPT"],
      [{ ...whole, "a/version": text("11") }, "UNSUPPORTED"],
      [{ ...whole, "a/version": text("three") }, "CORRUPT"],
      [{ ...whole, "a/byteorder": text("middle") }, "CORRUPT"],
      [{ ...whole, "a/constants.pkl": text("x") }, "UNSUPPORTED"],
      [{ ...whole, "a/data.pkl": program.subarray(0, 3) }, "CORRUPT"],
    ] as const) {
      expect(() => pt.decode(archive(members), plain)).toThrow(
        expect.objectContaining({ code: `ERR_QUIVER_${code}` }),
      );
    }
  });

  test("a storage of another length than the pickle says is refused, a claim of any size costs nothing", async () => {
    const bytes = Buffer.from(await bytesFrom(ramp(6)));
    // BININT1 6, the number of elements, as the end of the storage's tuple.
    const at = bytes.indexOf(Buffer.from([0x4b, 6, 0x74, 0x51]));
    for (const count of [5, 7]) {
      bytes[at + 1] = count;
      const start = bytes.indexOf(Buffer.from([0x80, 2]));
      const program = bytes.subarray(start, bytes.indexOf(Buffer.from("R.")) + 2);
      const forged = archive({
        "a/data.pkl": Uint8Array.from(program),
        "a/version": Buffer.from("3"),
        "a/data/0": new Uint8Array(24),
      });
      expect(() => pt.decode(forged, plain)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_CORRUPT" }));
    }
  });

  test("a flipped bit anywhere is noticed or harmless", async () => {
    const whole = await bytesFrom({ a: ramp(4), b: 1 });
    for (let at = 0; at < whole.byteLength; at++) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] as number) ^ 16;
      const outcome = await (async () => bytesFrom(pt.decode(bytes, plain)))().catch(({ code }) => code);
      if (typeof outcome === "string") expect(outcome, String(at)).toMatch(/CORRUPT|UNSUPPORTED/);
      else expect(outcome, String(at)).toEqual(whole);
    }
  });

  test("files are known by their extension, then by their first bytes", async () => {
    const bytes = await bytesFrom({ a: 1, t: ramp(1) });
    const names = (extension: string, first: Uint8Array): string => codecByFile(extension, first).name;
    expect([names("pth", bytes), names("bin", bytes.subarray(0, 128))]).toEqual(["pt", "pt"]);
    const other = joined(await npz.encode({ "x/data.pkl": ramp(1) }, {}));
    expect(names("tmp", other)).toBe("npz");
  });
});

test("a surrogate is stored once and its tensors are mapped when it is loaded again", async () => {
  const root = mkdtempSync(join(tmpdir(), "quiver-surrogate-"));
  const weights = { "layer.weight": ramp(50_000), "layer.bias": ramp(10) };
  const category: SimulationCategory = "surrogates";
  try {
    {
      await using cache = await simulationCache(root);
      const made = await cache.namespace(category).getOrCompute("mlp_2x100", () => ({
        model_state_dict: weights,
        epoch: 20,
        loss: 0.5,
      }));
      expect(made).toMatchObject({ epoch: 20 });
    }
    await using cache = await simulationCache(root);
    const surrogates = cache.namespace<{ model_state_dict: Record<string, Tensor> }>(category);
    const { model_state_dict: read } = (await surrogates.get("mlp_2x100")) as {
      model_state_dict: Record<string, Tensor>;
    };
    expect(Object.values(read).map((tensor) => tensor.isView)).toEqual([true, true]);
    await read["layer.weight"]?.ready();
    for (const [name, tensor] of Object.entries(weights)) expect(read[name]?.equals(tensor)).toBe(true);
    expect(await loadFile(join(root, "surrogates/mlp_2x100.pt"))).toMatchObject({ epoch: 20, loss: 0.5 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
