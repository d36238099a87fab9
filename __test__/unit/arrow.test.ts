/** Arrow files as values, and tensors from and to vectors of apache-arrow, of an old and a recent version. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as recent from "apache-arrow";
import * as old from "arrow-17";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { arrow } from "../../src/codecs/arrow.ts";
import { codecFor } from "../../src/codecs/registry.ts";
import { Cache, fromArrow, Tensor, toArrow } from "../../src/index.ts";
import { type DType, dtypeFacts } from "../../src/tensor/dtype.ts";
import { allocate, bytesOf } from "../../src/tensor/tensor.ts";

const folder = mkdtempSync(join(tmpdir(), "quiver-arrow-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const UNSUPPORTED = expect.objectContaining({ code: "ERR_QUIVER_UNSUPPORTED" });
const BAD_VALUE = expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" });

const dtypes: readonly DType[] = [
  ...(["float16", "float32", "float64", "int8", "int16", "int32", "int64"] as const),
  ...(["uint8", "uint16", "uint32", "uint64"] as const),
];

function filled(dtype: DType, shape: readonly number[], seed = 1): Tensor {
  const values = allocate(
    dtype,
    shape.reduce((product, size) => product * size, 1),
  );
  bytesOf(values).forEach((_, i, bytes) => {
    // Small numbers in all bytes: no float is NaN.
    bytes[i] = (i * 7 + seed) % 60;
  });
  return new Tensor(values, shape, { dtype });
}

async function encoded(value: unknown): Promise<Uint8Array> {
  const { parts, byteLength } = await arrow.encode(value as never, {});
  const bytes = new Uint8Array(Buffer.concat(parts));
  expect(bytes.byteLength).toBe(byteLength);
  return bytes;
}

const columns = fc
  .tuple(
    fc.nat({ max: 5 }),
    fc.array(
      fc.tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 })),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([rows, layouts]) =>
    Object.fromEntries(
      layouts.map(([dtype, row], i) => [`column ${i}`, filled(dtype, [rows, ...row], i)] as const),
    ),
  );

function expectSame(found: Tensor, expected: Tensor): void {
  expect([found.dtype, found.shape]).toEqual([expected.dtype, expected.shape]);
  expect(Buffer.from(bytesOf(found.data))).toEqual(Buffer.from(bytesOf(expected.data)));
}

describe("the codec", () => {
  test("gives back what it was given, as views", () =>
    fc.assert(
      fc.asyncProperty(columns, async (value) => {
        const bytes = await encoded(value);
        const found = arrow.decode(bytes, { mapped: false });
        expect(Object.keys(found)).toEqual(Object.keys(value));
        for (const [name, tensor] of Object.entries(value)) {
          expectSame(found[name] as Tensor, tensor);
          if (tensor.size > 0) expect((found[name] as Tensor).memory.buffer).toBe(bytes.buffer);
        }
      }),
    ));

  test("keeps values of a namespace, and files of Arrow come back by their extension", async () => {
    const cache = await Cache.open(join(folder, "cache"), {
      namespaces: { surrogates: { codec: "arrow", layout: "named" } },
    });
    const kernels = cache.namespace("surrogates");
    const value = { x: filled("float32", [20_000, 3]), y: filled("int64", [20_000]) };
    await kernels.set("table", value);
    expect((await kernels.info("table"))?.path).toMatch(/\.arrow$/);
    const found = (await kernels.get("table")) as typeof value;
    expectSame(found.x, value.x);
    expectSame(found.y, value.y);
    expect(found.x.isView).toBe(true);
    await cache.close();
  });

  test.each([
    [{}],
    [{ a: 1 }],
    [{ a: new Tensor(new Uint8Array(2), [2], { dtype: "bool" }) }],
    [{ a: new Tensor(new Uint16Array(2), [2], { dtype: "bfloat16" }) }],
    [{ a: new Tensor(new Float32Array(1), []) }],
    [{ a: filled("int8", [2]), b: filled("int8", [3]) }],
    [{ "\ud800": filled("int8", [2]) }],
    [filled("int8", [2])],
  ])("refuses %o", async (value) => {
    expect(arrow.accepts(value)).toBe(false);
    await expect(encoded(value)).rejects.toEqual(BAD_VALUE);
  });

  test("any flipped bit is noticed or harmless, any truncation of the metadata is corrupt", async () => {
    const bytes = await encoded({ a: filled("float32", [3, 2]), b: filled("int16", [3]) });
    for (let at = 0; at < bytes.byteLength; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      try {
        arrow.decode(flipped, { mapped: false });
      } catch (error) {
        expect(["ERR_QUIVER_CORRUPT", "ERR_QUIVER_UNSUPPORTED"]).toContain((error as { code: string }).code);
      }
    }
    for (let length = 0; length < bytes.byteLength; length++) {
      expect(() => arrow.decode(bytes.slice(0, length), { mapped: false }), String(length)).toThrow();
    }
  });

  test("what is read before it is asked for is verified", async () => {
    const bytes = await encoded({ a: filled("float32", [500, 2]), b: filled("int16", [500]) });
    const verified: [number, number][] = [];
    const context = {
      mapped: true,
      verify: (start: number, end: number) => void verified.push([start, end]),
    };
    const { a } = arrow.decode(bytes, context) as { a: Tensor };
    const early = [...verified];
    const covers = (ranges: typeof verified, at: number): boolean =>
      ranges.some(([start, end]) => start <= at && at < end);
    const first = a.data.byteOffset - bytes.byteOffset;
    expect([0, first - 1, first, first + a.byteLength - 1].map((at) => covers(early, at))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(covers(early, bytes.byteLength - 1)).toBe(true);
    expect(covers(verified, first)).toBe(true);
  });

  test("is found by its name", () => expect(codecFor("arrow")).toBe(arrow));
});

describe.each([
  ["21", recent],
  ["17", old as unknown as typeof recent],
])("with apache-arrow %s", (_, library) => {
  test("tensors become vectors and come back, in the same memory", () =>
    fc.assert(
      fc.property(columns, (value) => {
        for (const tensor of Object.values(value)) {
          const vector = toArrow(library, tensor);
          expect(vector).toBeInstanceOf(library.Vector);
          expect(vector.length).toBe(tensor.shape[0]);
          const back = fromArrow(vector);
          expectSame(back, tensor);
          if (tensor.size > 0) expect(back.data.buffer).toBe(tensor.data.buffer);
        }
        const table = toArrow(library, value);
        expect(table.schema.fields.map(({ name }) => name)).toEqual(Object.keys(value));
        for (const [name, tensor] of Object.entries(fromArrow(table))) {
          expectSame(tensor, value[name] as Tensor);
        }
      }),
    ));

  test("vectors have the values that tensors have", () => {
    const vector = toArrow(library, filled("float32", [3, 2])).toJSON() as { toArray(): Float32Array }[];
    const rows = filled("float32", [3, 2]).toArray();
    expect(vector.map((row) => [...row.toArray()])).toEqual(rows);
  });

  test("parts of vectors, vectors in batches and bools", () => {
    const numbers = filled("int32", [10, 3]);
    const part = toArrow(library, numbers).slice(2, 7);
    expectSame(fromArrow(part), numbers.slice(2, 7));
    expect(fromArrow(part).data.buffer).toBe(numbers.data.buffer);
    const joined = toArrow(library, numbers).concat(toArrow(library, filled("int32", [4, 3], 9)));
    expect(fromArrow(joined).shape).toEqual([14, 3]);
    expectSame(fromArrow(joined).slice(10, 14), filled("int32", [4, 3], 9));
    const bools = library.vectorFromArray([true, false, true, true, false], new library.Bool());
    expect(fromArrow(bools).toArray()).toEqual([true, false, true, true, false]);
    expect(fromArrow(bools.slice(1, 4)).toArray()).toEqual([false, true, true]);
  });

  test("what no tensor holds is refused", () => {
    expect(() => fromArrow(library.vectorFromArray([1, null, 3], new library.Int32()))).toThrow(UNSUPPORTED);
    expect(() => fromArrow(library.vectorFromArray(["a", "b"]))).toThrow(UNSUPPORTED);
    expect(() => fromArrow({} as never)).toThrow(BAD_VALUE);
    expect(() => fromArrow(null as never)).toThrow(BAD_VALUE);
    expect(() => toArrow(library, new Tensor(new Uint16Array(1), [1], { dtype: "bfloat16" }))).toThrow(
      UNSUPPORTED,
    );
    expect(() => toArrow(library, new Tensor(new Float32Array(1), []))).toThrow(UNSUPPORTED);
  });

  test.each(["file", "stream"] as const)("reads what it wrote as a %s, and the other way", async (form) => {
    const value = { a: filled("float32", [5, 3]), b: filled("int64", [5]) };
    const found = arrow.decode(library.tableToIPC(toArrow(library, value), form).slice(), { mapped: false });
    expectSame(found["a"] as Tensor, value.a);
    expectSame(found["b"] as Tensor, value.b);
    const table = library.tableFromIPC(await encoded(value));
    expectSame(fromArrow(table)["a"] as Tensor, value.a);
    const texts = library.tableFromArrays({ text: ["one", "zwei", "три"], n: Int32Array.of(1, 2, 3) });
    const plain = library.vectorFromArray(["one", null, "три"], new library.Utf8());
    const batches = new library.Table({ text: plain, n: texts.getChild("n") as recent.Vector });
    const decoded = arrow.decode(library.tableToIPC(batches.concat(batches), form).slice(), {
      mapped: false,
    });
    expect(decoded["text"]).toEqual(["one", null, "три", "one", null, "три"]);
    expect((decoded["n"] as Tensor).toArray()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(dtypeFacts((decoded["n"] as Tensor).dtype).itemSize).toBe(4);
  });
});
