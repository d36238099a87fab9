import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bin } from "../../src/codecs/bin.ts";
import type { Codec, Compression, DecodeContext, EncodeOptions } from "../../src/codecs/codec.ts";
import { loadFile, saveFile } from "../../src/codecs/files.ts";
import { json } from "../../src/codecs/json.ts";
import { npy } from "../../src/codecs/npy.ts";
import { type NamedTensors, npz } from "../../src/codecs/npz.ts";
import { codecByFile, codecByValue, codecFor, codecs } from "../../src/codecs/registry.ts";
import { text } from "../../src/codecs/text.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

const BAD_VALUE = expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" });
const CORRUPT = expect.objectContaining({ code: "ERR_QUIVER_CORRUPT" });
const plain: DecodeContext = { mapped: false };

async function bytesFrom(
  codec: Pick<Codec<never>, "encode">,
  value: unknown,
  options: EncodeOptions = {},
): Promise<Uint8Array> {
  const { parts, byteLength } = await codec.encode(value as never, options);
  const bytes = Buffer.concat(parts);
  expect(bytes.byteLength).toBe(byteLength);
  // At the start of a buffer of its own, as a mapped file is.
  return new Uint8Array(bytes);
}

const ramp = (count: number): Tensor => new Tensor(Float64Array.from({ length: count }, (_, i) => i));

describe("choosing", () => {
  test.each([
    [new Tensor(new Float32Array(1)), "npy"],
    [{ a: new Tensor(new Float32Array(1)) }, "npz"],
    ["text", "text"],
    ["", "text"],
    [Buffer.from("x"), "bin"],
    [new ArrayBuffer(2), "bin"],
    [{}, "json"],
    [{ a: 1 }, "json"],
    [[1, null, "x"], "json"],
    [null, "json"],
    [false, "json"],
    [new Date(0), "json"],
  ])("by value: %s goes to %s", (value, name) => {
    expect(codecByValue(value).name).toBe(name);
  });

  test.each([[undefined], [Number.NaN], [1n], [() => 1], [new Map()], [new Float32Array(2)], [Symbol("x")]])(
    "by value: nothing takes %s",
    (value) => {
      expect(() => codecByValue(value)).toThrow(BAD_VALUE);
    },
  );

  test("by name, own ones first", () => {
    const own = { ...json, name: "npy" };
    expect(codecFor("npy", [own])).toBe(own);
    expect(codecFor("npy")).toBe(npy);
    expect(() => codecFor("pickle")).toThrow(expect.objectContaining({ code: "ERR_QUIVER_CODEC_UNKNOWN" }));
  });

  test("by file: the extension, then the first bytes", async () => {
    const array = await bytesFrom(npy, ramp(1));
    const archive = await bytesFrom(npz, ramp(1));
    const names = (extension: string, bytes: Uint8Array): string => codecByFile(extension, bytes).name;
    expect(
      ["npy", "NPZ", "json", "txt", "dat"].map((extension) => names(extension, new Uint8Array(0))),
    ).toEqual(["npy", "npz", "json", "text", "bin"]);
    expect([names("tmp", array), names("", archive), names("", Buffer.from("{}"))]).toEqual([
      "npy",
      "npz",
      "bin",
    ]);
  });
});

describe("json", () => {
  test("any JSON value comes back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const bytes = await bytesFrom(json, value);
        expect(json.decode(bytes, plain)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  const deep = JSON.parse(`${"[".repeat(2000)}${"]".repeat(2000)}`) as unknown;
  test.each<[string, unknown, string]>([
    ["NaN", { a: [1, { b: Number.NaN }] }, "NaN, which is at $.a[1].b"],
    ["infinity", [Number.NEGATIVE_INFINITY], "-Infinity, which is at $[0]"],
    ["undefined", undefined, "undefined"],
    ["undefined in an array", [undefined], "$[0]"],
    ["a hole", new Array(2), "holes"],
    ["a function", { f: () => 1 }, "a function, which is at $.f"],
    ["a symbol", [Symbol("s")], "a symbol"],
    ["a bigint", { n: 1n }, "a bigint"],
    ["a cycle", cycle, "a cycle, which is at $.self[0]"],
    ["a map", { m: new Map() }, "an instance of Map"],
    ["a typed array", [new Uint8Array(1)], "an instance of Uint8Array"],
    ["a Buffer", [Buffer.alloc(1)], "an instance of Buffer"],
    ["a tensor", { t: ramp(1) }, "an instance of Tensor"],
    ["endless nesting", deep, "levels"],
  ])("refuses %s and says where", (_, value, message) => {
    expect(() => json.encode(value, {})).toThrow(BAD_VALUE);
    expect(() => json.encode(value, {})).toThrow(message);
  });

  test("takes what JSON has a form for", async () => {
    const shared = { x: 1 };
    const value = {
      date: new Date(0),
      twice: [shared, shared],
      left: undefined,
      bare: Object.create(null) as object,
    };
    const bytes = await bytesFrom(json, value);
    expect(json.decode(bytes, plain)).toEqual({
      date: "1970-01-01T00:00:00.000Z",
      twice: [shared, shared],
      bare: {},
    });
  });

  test.each(["", "{", "NaN", '{"a": NaN}', "\u{feff}{}}"])("%j is corrupt", (source) => {
    expect(() => json.decode(Buffer.from(source), { mapped: false, key: "k" })).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_CORRUPT", key: "k" }),
    );
  });
});

describe("text and bin", () => {
  test("any well-formed string comes back, a byte-order mark too", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), async (value) => {
        expect(text.decode(await bytesFrom(text, value), plain)).toBe(value);
      }),
    );
    expect(text.decode(await bytesFrom(text, "\u{feff}x"), plain)).toBe("\u{feff}x");
  });

  test("half a character is refused, bytes that are no UTF-8 are corrupt", () => {
    expect(() => text.encode("ab\ud800", {})).toThrow("position 2");
    expect(() => text.decode(Uint8Array.of(0xff), plain)).toThrow(CORRUPT);
  });

  test("bytes come back as they are, whatever held them", async () => {
    const bytes = Uint8Array.of(0, 255, 10, 13);
    for (const value of [
      bytes,
      Buffer.from(bytes),
      bytes.slice().buffer,
      new DataView(bytes.slice().buffer),
    ]) {
      expect(bin.decode(await bytesFrom(bin, value), plain)).toEqual(bytes);
    }
    expect(() => bin.encode(new Float32Array(1) as never, {})).toThrow(BAD_VALUE);
  });
});

describe("npz", () => {
  const small = new Tensor(Float32Array.of(1, 2, 3));
  const large = ramp(20_000);

  test.each<[string, Compression | undefined, boolean, boolean]>([
    ["default", undefined, true, false],
    ["none", "none", false, false],
    ["deflate", "deflate", true, true],
    ["level 0", { kind: "deflate", level: 0 }, true, true],
  ])(
    "%s: small and large members are stored or deflated as said",
    async (_, compression, smallCopied, largeCopied) => {
      const bytes = await bytesFrom(npz, { small, large }, compression === undefined ? {} : { compression });
      for (const decoded of [npz.decode(bytes, plain), await npz.decodeAsync?.(bytes, plain)]) {
        const read = decoded as Record<string, Tensor>;
        expect(Object.keys(read)).toEqual(["small", "large"]);
        expect(read["small"]?.equals(small)).toBe(true);
        expect(read["large"]?.equals(large)).toBe(true);
        expect(read["small"]?.data.buffer !== bytes.buffer).toBe(smallCopied);
        expect(read["large"]?.data.buffer !== bytes.buffer).toBe(largeCopied);
        if (!largeCopied) expect((read["large"]?.data.byteOffset ?? 1) % 64).toBe(0);
      }
    },
  );

  test("a tensor is the member data, and only that comes back as a tensor", async () => {
    const encoded = await npz.encode(small, {});
    expect(encoded).toMatchObject({ shape: [3], dtype: "float32" });
    const sole = npz.decode(await bytesFrom(npz, small), plain) as Tensor;
    expect(sole.equals(small)).toBe(true);
    const other = npz.decode(await bytesFrom(npz, { weights: small }), plain) as NamedTensors;
    expect(Object.keys(other)).toEqual(["weights"]);
  });

  test("names may be anything, also __proto__", async () => {
    const value = Object.fromEntries([
      ["__proto__", small],
      ["a/b", small],
      ["größe", small],
    ]);
    const read = npz.decode(await bytesFrom(npz, value), plain);
    expect(Object.keys(read)).toEqual(["__proto__", "a/b", "größe"]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  test("an archive without members is an empty object", async () => {
    expect(npz.decode(await bytesFrom(npz, {}), plain)).toEqual({});
  });

  test("large data and many chunks survive deflating", async () => {
    const random = new Tensor(
      Uint8Array.from({ length: 9_000_000 }, (_, i) => Math.imul(i, 2654435761) >>> 24),
    );
    const bytes = await bytesFrom(npz, random, {
      compression: { kind: "deflate", level: 1 },
    });
    expect(random.equals((await npz.decodeAsync?.(bytes, plain)) as Tensor)).toBe(true);
  });

  test("an aborted signal ends encoding", async () => {
    const signal = AbortSignal.abort("enough");
    const aborted = expect.objectContaining({ code: "ERR_QUIVER_ABORTED", cause: "enough" });
    await expect(npz.encode(large, { signal, compression: "deflate" })).rejects.toEqual(aborted);
    await expect(npz.encode(large, { signal, compression: "none" })).rejects.toEqual(aborted);
    expect(() => npy.encode(large, { signal })).toThrow(aborted);
  });

  test("any flipped bit is noticed or harmless, any truncation is corrupt", async () => {
    const bytes = await bytesFrom(npz, { small, ramp: ramp(30) }, { compression: "deflate" });
    const reads = (damaged: Uint8Array): boolean => {
      try {
        const read = npz.decode(damaged, plain) as Record<string, Tensor>;
        const values = Object.values(read);
        return (
          values.length === 2 && values[0]?.equals(small) === true && values[1]?.equals(ramp(30)) === true
        );
      } catch (error) {
        expect(["ERR_QUIVER_CORRUPT", "ERR_QUIVER_UNSUPPORTED"]).toContain((error as { code: string }).code);
        return true;
      }
    };
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(reads(damaged), `bit ${bit}`).toBe(true);
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => npz.decode(bytes.subarray(0, length), plain), `length ${length}`).toThrow(CORRUPT);
    }
  });

  test("mapped members are views whose bytes are checked when touched", async () => {
    const bytes = await bytesFrom(npz, { a: large, b: large }, { compression: "none" });
    const verify = vi.fn();
    const ready = vi.fn(async () => {});
    const read = npz.decode(bytes, { mapped: true, verify, ready }) as Record<string, Tensor>;
    const checked = verify.mock.calls.reduce(
      (sum, [start, end]) => sum + (end as number) - (start as number),
      0,
    );
    expect(checked).toBeLessThan(2000);
    expect(verify.mock.calls.some(([, end]) => end === bytes.length)).toBe(true);
    const { a } = read;
    expect(a?.isView).toBe(true);
    const { data } = a as Tensor;
    expect(verify.mock.lastCall).toEqual([data.byteOffset, data.byteOffset + data.byteLength]);
    await a?.ready();
    expect(ready).toHaveBeenCalledWith(data.byteOffset, data.byteOffset + data.byteLength);
  });
});

describe("npy", () => {
  test("is written without copying and read as a view", async () => {
    const tensor = ramp(1000);
    const { parts, shape, dtype } = await npy.encode(tensor, {});
    expect(parts[1]?.buffer).toBe(tensor.data.buffer);
    expect([shape, dtype]).toEqual([[1000], "float64"]);
    const bytes = await bytesFrom(npy, tensor);
    expect(npy.decode(bytes, plain).data.buffer).toBe(bytes.buffer);
  });

  test("unaligned bytes are copied, not refused", async () => {
    const bytes = await bytesFrom(npy, ramp(10));
    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    expect(npy.decode(shifted, plain).equals(ramp(10))).toBe(true);
  });

  test("bfloat16 is refused with a way out", () => {
    const tensor = new Tensor(new Uint16Array(1), [1], { dtype: "bfloat16" });
    expect(() => npy.encode(tensor, {})).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE", fix: expect.stringContaining("float32") }),
    );
  });
});

test("codecs that only store refuse to compress, and npz what NumPy could not read", async () => {
  const bad = expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION" });
  expect(() => npy.encode(ramp(1), { compression: "deflate" })).toThrow(bad);
  expect(() => json.encode({}, { compression: { kind: "zstd" } })).toThrow(bad);
  expect(() => text.encode("", { compression: "none" })).not.toThrow();
  await expect(npz.encode(ramp(1), { compression: "zstd" })).rejects.toEqual(bad);
  await expect(npz.encode(ramp(1), { compression: { kind: "deflate", level: 10 } })).rejects.toEqual(bad);
});

test("every codec refuses arbitrary bytes with a QuiverError, or reads them", async () => {
  const start = fc.constantFrom("", "\x93NUMPY\x01\x00", "PK\x03\x04", "PK\x05\x06", "{");
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 100 }), async (head, tail) => {
      const bytes = Buffer.concat([Buffer.from(head, "latin1"), tail]);
      for (const codec of codecs) {
        try {
          codec.decode(bytes, plain);
        } catch (error) {
          expect(error).toMatchObject({ name: "QuiverError" });
        }
      }
    }),
  );
});

describe("files", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "quiver-files-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("the extension decides, else the value and the first bytes", async () => {
    const tensor = ramp(3);
    await saveFile(join(folder, "a.npz"), tensor);
    expect(((await loadFile(join(folder, "a.npz"))) as Tensor).equals(tensor)).toBe(true);
    await saveFile(join(folder, "b.unknown"), tensor);
    expect(((await loadFile(join(folder, "b.unknown"))) as Tensor).equals(tensor)).toBe(true);
    await saveFile(join(folder, "c.json"), "text");
    expect(readFileSync(join(folder, "c.json"), "utf8")).toBe('"text"');
    await saveFile(join(folder, "d"), { x: 1 }, { codec: "json" });
    expect(await loadFile(join(folder, "d"))).toEqual(new Uint8Array(readFileSync(join(folder, "d"))));
  });

  test("a failed save leaves the old file and nothing else", async () => {
    const path = join(folder, "kept.json");
    await saveFile(path, { old: true });
    mkdirSync(join(folder, "taken.json"));
    const before = readdirSync(folder);
    await expect(saveFile(path, { bad: Number.NaN })).rejects.toEqual(BAD_VALUE);
    await expect(saveFile(join(folder, "no", "x.json"), 1)).rejects.toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
    });
    await expect(saveFile(join(folder, "taken.json"), 1)).rejects.toMatchObject({ code: "ERR_QUIVER_IO" });
    expect(await loadFile(path)).toEqual({ old: true });
    expect(readdirSync(folder)).toEqual(before);
  });

  test("replaces by rename: who has the old file open keeps it", async () => {
    const path = join(folder, "replaced.txt");
    await saveFile(path, "old");
    const { ino } = statSync(path);
    await saveFile(path, "new");
    expect(statSync(path).ino).not.toBe(ino);
    expect(await loadFile(path)).toBe("new");
  });

  test("names the path of what is damaged or missing", async () => {
    const path = join(folder, "damaged.npy");
    writeFileSync(path, "not an array");
    await expect(loadFile(path)).rejects.toMatchObject({ code: "ERR_QUIVER_CORRUPT", path });
    await expect(loadFile(join(folder, "missing.npy"))).rejects.toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
    });
  });
});
