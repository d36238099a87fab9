/** Values whose files were cut short, changed or rewritten under an open cache: an error or a miss, never wrong. */

import {
  chmodSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { Cache, Tensor } from "../../src/index.ts";
import { findPython, runPython } from "../interop/python.ts";
import { codeOf, newFolder, tree } from "./bench.ts";

const numbers = Float64Array.from({ length: 40_000 }, (_, i) => Math.sin(i) * 1e3);
const torture = process.env["QUIVER_TORTURE"] === "1";
const flips = torture ? 100 : 6;
const python = findPython("numpy");

/** A value for each format, long enough to be mapped where the format can be. */
const formats: Readonly<Record<string, { value: unknown; codec: string; options?: object }>> = {
  npy: { value: new Tensor(numbers, [200, 200]), codec: "npy" },
  "npz, deflated": { value: { a: new Tensor(numbers), b: new Tensor(numbers) }, codec: "npz" },
  "npz, stored": {
    value: { a: new Tensor(numbers), b: new Tensor(numbers) },
    codec: "npz",
    options: { compression: "none" },
  },
  json: { value: Array.from(numbers.subarray(0, 10_000)), codec: "json" },
  text: { value: "The quick brown fox. ".repeat(8_000), codec: "text" },
  bytes: { value: new Uint8Array(numbers.buffer).slice(0, 200_000), codec: "bin" },
};

/** What a reader gets of a damaged entry: undefined for a miss, a code for an error; throws for a wrong value. */
async function outcome(cache: Cache, expected: unknown): Promise<string | undefined> {
  const got = await cache
    .namespace("n")
    .get("k")
    .then(async (value) => {
      // Views are verified when their bytes are asked for.
      for (const tensor of tensorsOf(value)) {
        await tensor.ready();
        tensor.data;
      }
      return { value };
    })
    .catch((error: { code?: string }) => {
      if (error.code?.startsWith("ERR_QUIVER_")) return { code: error.code };
      throw error;
    });
  if ("code" in got) return got.code;
  // A comparison that shows no difference: of such values it would take minutes to print.
  if (got.value !== undefined && !isDeepStrictEqual(plain(got.value), plain(expected))) {
    throw new Error("a wrong value was returned");
  }
  return got.value === undefined ? undefined : "right";
}

function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value) || Array.isArray(value))
    return [];
  return Object.values(value).filter((member) => member instanceof Tensor);
}

function plain(value: unknown): unknown {
  if (value instanceof Tensor) return [value.shape, Array.from(value.data as Float64Array)];
  if (tensorsOf(value).length > 0) {
    return Object.entries(value as Record<string, Tensor>).map(([name, tensor]) => [name, plain(tensor)]);
  }
  return value;
}

const codes = ["ERR_QUIVER_CORRUPT", "ERR_QUIVER_CHECKSUM_MISMATCH"];

describe.for(Object.keys(formats))("%s", (format) => {
  const { value, codec, options } = formats[format] as (typeof formats)[string];

  describe.for(["named", "hashed"] as const)("in the layout %s", (layout) => {
    async function stored(): Promise<{ root: string; object: string; size: number }> {
      const root = newFolder();
      await using cache = await Cache.open(root, { namespaces: { n: { layout } } });
      await cache.namespace("n").set("k", value, { codec, ...options });
      const [object] = tree(join(root, ".quiver/objects"));
      const path = join(root, ".quiver/objects", object as string);
      chmodSync(path, 0o644);
      return { root, object: path, size: statSync(path).size };
    }

    test("cut short anywhere, it is an error", async () => {
      const { root, object, size } = await stored();
      const whole = readFileSync(object);
      const lengths = [0, 10, size / 2, size - 1, ...(torture ? [1, 9, 100, 127, size - 22] : [])];
      for (const length of lengths.map(Math.floor)) {
        truncateSync(object, length);
        await using cache = await Cache.open(root);
        expect(codes.concat("undefined")).toContain(String(await outcome(cache, value)));
        // Adopting the cut file would be a new entry; the old one is put back for the next round.
        await cache.close();
        writeFileSync(object, whole);
      }
    });

    test("with a bit flipped anywhere, it is an error", async () => {
      const { root, object, size } = await stored();
      for (let round = 0; round < flips; round++) {
        const at = round < 3 ? round * 4 : Math.floor((size - 1) * (round / (flips - 1)));
        const before = statSync(object);
        const file = openSync(object, "r+");
        const byte = readFileSync(object)[at] as number;
        writeSync(file, Uint8Array.of(byte ^ (1 << (round % 8))), 0, 1, at);
        closeSync(file);
        // A failing disk changes no times.
        utimesSync(object, before.atime, before.mtime);
        {
          await using cache = await Cache.open(root);
          expect(codes).toContain(await outcome(cache, value));
          const { damaged } = await cache.verify();
          expect(damaged.length).toBe(1);
        }
        const again = openSync(object, "r+");
        writeSync(again, Uint8Array.of(byte), 0, 1, at);
        closeSync(again);
        utimesSync(object, before.atime, before.mtime);
      }
    });

    test("changed while the cache holds it, it is never a wrong value", async () => {
      const { root, object, size } = await stored();
      await using cache = await Cache.open(root, { verify: "touch" });
      const first = await cache.namespace("n").get("k");
      expect(first).toBeDefined();
      const file = openSync(object, "r+");
      ftruncateSync(file, Math.floor(size / 3));
      closeSync(file);
      // Bytes that were not verified yet are gone from under the mapping; verified ones may be too.
      for (const tensor of tensorsOf(first)) {
        const code = await codeOf(
          tensor.ready().then(() => {
            tensor.data;
          }),
        );
        expect(["ERR_QUIVER_CORRUPT", "ERR_QUIVER_CHECKSUM_MISMATCH", "ERR_QUIVER_IO", undefined]).toContain(
          code,
        );
      }
      expect([...codes, "undefined", "right"]).toContain(String(await outcome(cache, value)));
      await cache.namespace("n").set("k", value, { codec, ...options });
      expect(await outcome(cache, value)).toBe("right");
    });
  });
});

test("an entry whose file was deleted is a miss, and can be set again", async () => {
  const root = newFolder();
  await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" }, h: {} } });
  for (const name of ["n", "h"]) {
    await cache.namespace(name).set("k", new Tensor(numbers));
  }
  for (const object of tree(join(root, ".quiver/objects"))) rmSync(join(root, ".quiver/objects", object));
  rmSync(join(root, "n/k.npy"));
  for (const name of ["n", "h"]) {
    const space = cache.namespace(name);
    expect(await space.get("k")).toBeUndefined();
    await space.set("k", new Tensor(numbers));
    expect(((await space.get("k")) as Tensor).equals(new Tensor(numbers))).toBe(true);
  }
});

/** Removes a folder as far as it goes: what is written into it meanwhile may keep it. */
function removeWhatGoes(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    if (!["ENOTEMPTY", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

test("folders deleted under .quiver while values are written and read end nothing but the values in them", async () => {
  const root = newFolder();
  await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" } } });
  const values = Array.from({ length: 8 }, (_, i) => new Uint8Array(90_000).fill(i + 1));
  const space = cache.namespace("n");
  for (let round = 0; round < 12; round++) {
    const work = values.map(async (value, i) => {
      const set = await codeOf(space.set(`k${i}`, value));
      expect([undefined, "ERR_QUIVER_IO", "ERR_QUIVER_ROOT_VANISHED"]).toContain(set);
      const got = await space.get(`k${i}`).catch((error) => error.code as string);
      if (typeof got === "string") expect(got).toMatch(/^ERR_QUIVER_(IO|CORRUPT|CHECKSUM_MISMATCH)$/);
      else if (got !== undefined) expect((got as Uint8Array).every((byte) => byte === i + 1)).toBe(true);
    });
    for (const folder of [".quiver/objects", ".quiver/tmp", "n", ".quiver/sums", ".quiver/trash"]) {
      if (round % 2 === 0) removeWhatGoes(join(root, folder));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(work);
  }
  const value = new Uint8Array(90_000).fill(99);
  await space.set("after", value);
  expect(await space.get("after")).toEqual(value);
});

test.for([
  ["cut and grown again, with zeros", (path: string) => [0, 3e6].map((size) => truncateSync(path, size))],
  ["written over, but shorter", (path: string) => writeFileSync(path, Buffer.alloc(3e6, 9))],
] as const)(
  "a large file in use that is %s: no row is shown any more, read before or not",
  async ([, damage]) => {
    const root = newFolder();
    await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" } } });
    const space = cache.namespace<Tensor>("n");
    await space.set("k", new Tensor(new Float32Array(2_000_000).fill(5), [2_000, 1_000]));
    const held = space.getSync("k") as Tensor;
    expect(held.slice(0, 1).data[0]).toBe(5);
    const path = join(root, "n/k.npy");
    chmodSync(path, 0o644);
    damage(path);
    for (const row of [0, 3]) {
      expect(() => held.slice(row, row + 1).data, `${row}`).toThrow(/cut short/);
      expect(() => held.gather([row])).toThrow(/cut short/);
    }
    const now = await space.get("k").catch(({ code }) => code as string);
    if (now instanceof Tensor) expect(() => now.slice(0, 1).data).toThrow(/cut short/);
  },
);

describe.skipIf(python === undefined)("np.save over a file that is open and mapped", () => {
  test("in place, neither ends the process nor gives a wrong value", async () => {
    const root = newFolder();
    await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" } } });
    const space = cache.namespace<Tensor>("n");
    const original = new Tensor(numbers, [200, 200]);
    await space.set("k", original);
    const held = (await space.get("k")) as Tensor;
    expect(held.isView).toBe(true);
    const path = join(root, "n/k.npy");
    // As root, or after a chmod: np.save opens with O_TRUNC and writes into the same inode.
    chmodSync(path, 0o644);
    const script = `
import sys, json, numpy as np
path = json.loads(sys.argv[1])
np.save(path, np.full((10,), 7.0))
print("null")`;
    await runPython(python as string, script, path);
    const code = await codeOf(
      held.ready().then(() => {
        held.data;
      }),
    );
    expect(["ERR_QUIVER_CORRUPT", "ERR_QUIVER_CHECKSUM_MISMATCH", "ERR_QUIVER_IO"]).toContain(code);
    // Nobody is served the old value in a new file's clothes: the new one, whole, or a refusal.
    const now = await space
      .get("k")
      .then((value) => value && Array.from(value.data as Float64Array))
      .catch((error) => error.code as string);
    expect([new Array(10).fill(7), undefined, ...codes]).toContainEqual(now);
    await space.set("k", original);
    expect(((await space.get("k")) as Tensor).equals(original)).toBe(true);
  });
});

test("a file that is still being written is not adopted; a settled one is, whole", async () => {
  const root = newFolder();
  await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" } } });
  const space = cache.namespace("n");
  await space.set("other", 1);
  const path = join(root, "n/foreign.dat");
  const file = openSync(path, "w");
  writeSync(file, new Uint8Array(1_000).fill(1));
  expect(await space.get("foreign")).toBeUndefined();
  writeSync(file, new Uint8Array(1_000).fill(2));
  expect(await space.get("foreign")).toBeUndefined();
  closeSync(file);
  const past = new Date(Date.now() - 10_000);
  utimesSync(path, past, past);
  const whole = new Uint8Array(2_000).fill(1);
  whole.fill(2, 1_000);
  expect(await space.get("foreign")).toEqual(whole);
});
