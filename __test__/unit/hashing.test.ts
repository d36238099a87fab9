import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { cacheKey, Tensor } from "../../src/index.ts";
import { findPython, runPython } from "../interop/python.ts";

const python = findPython("hashlib");

const anything = fc.anything({
  maxDepth: 3,
  maxKeys: 3,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

/** Few enough that two are often equal. */
const fewValues = fc.anything({
  maxDepth: 2,
  maxKeys: 2,
  withMap: true,
  withSet: true,
  withSparseArray: true,
  key: fc.constantFrom("a", "b"),
  values: [fc.constantFrom<unknown>(0, -0, 1, Number.NaN, "", "1", 1n, true, null, undefined)],
});

/** The same value made anew, with fields, entries and members put in the other way round. */
function remade(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return new Date(value);
  if (ArrayBuffer.isView(value)) return structuredClone(value);
  if (value instanceof Map) return new Map([...value].reverse().map(([k, v]) => [remade(k), remade(v)]));
  if (value instanceof Set) return new Set([...value].reverse().map(remade));
  const copy: object = Array.isArray(value) ? new Array(value.length) : {};
  for (const name of Object.keys(value).reverse()) {
    Object.defineProperty(copy, name, {
      value: remade((value as Record<string, unknown>)[name]),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
}

test("equal inputs have equal keys, whatever order they were put together in", () => {
  fc.assert(
    fc.property(anything, (value) => {
      expect(cacheKey("n", remade(value))).toBe(cacheKey("n", value));
    }),
    { numRuns: 500 },
  );
});

test("inputs have equal keys exactly when they are deeply equal", () => {
  let equal = 0;
  fc.assert(
    fc.property(fewValues, fewValues, (left, right) => {
      const same = isDeepStrictEqual(left, right);
      if (same) equal++;
      expect(cacheKey("n", left) === cacheKey("n", right)).toBe(same);
    }),
    { numRuns: 3000 },
  );
  expect(equal).toBeGreaterThan(20);
});

test("what is easily confused is told apart", () => {
  class Metres {
    readonly n: number;
    constructor(n: number) {
      this.n = n;
    }
    toJSON() {
      return { n: this.n };
    }
  }
  class Feet extends Metres {}
  const match = /(a)/.exec("xa") as RegExpExecArray;
  const inputs: unknown[] = [
    ...[
      undefined,
      null,
      false,
      true,
      0,
      -0,
      1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1n,
      -1n,
      10n,
      "",
      "1",
      "a",
    ],
    ...["\ud800", "\udbff", "\ufffd", [], {}, [undefined], new Array(1), [[]], [1, [2]], [[1], 2], [1, 2]],
    ...[
      { a: undefined },
      { a: null },
      { a: 1, b: 2 },
      { a: { b: 2 } },
      new Map(),
      new Set(),
      new Map([["a", 1]]),
    ],
    ...[
      new Set(["a", 1]),
      new Set([["a", 1]]),
      new Date(0),
      new Date(1),
      new Date(Number.NaN),
      /a/,
      /a/g,
      /\/a/,
    ],
    ...[new Uint8Array(2), new Uint8Array(3), new Int8Array(2), new Float32Array(1), new Int32Array(1)],
    ...[
      new ArrayBuffer(2),
      new DataView(new ArrayBuffer(2)),
      new Float32Array([Number.NaN]),
      new Float32Array([-0]),
    ],
    ...[new Tensor(new Float32Array(6), [2, 3]), new Tensor(new Float32Array(6), [3, 2])],
    ...[new Tensor(new Float32Array(6)), new Float32Array(6), new Tensor(new Int32Array(6), [2, 3])],
    ...[new Metres(1), new Feet(1), { n: 1 }, new Metres(2), new URL("http://a/"), "http://a/"],
    ...[match, [...match], new Uint8Array(5000), new Uint8Array(5000).fill(1), new Uint16Array(2500)],
  ];
  const keys = inputs.map((input) => cacheKey("n", input));
  expect(new Set(keys).size).toBe(inputs.length);
});

test("views count by their elements alone", () => {
  const wide = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4);
  expect(cacheKey("n", wide)).toBe(cacheKey("n", Uint8Array.of(1, 2, 3)));
  expect(cacheKey("n", Buffer.from(wide))).toBe(cacheKey("n", wide));
  const byRows = new Tensor(Float64Array.of(1, 2, 3, 4), [2, 2]);
  const byColumns = new Tensor(Float64Array.of(1, 3, 2, 4), [2, 2], { order: "F" });
  expect(cacheKey("n", byColumns)).toBe(cacheKey("n", byRows));
});

test("large arrays enter by a sum of all of their bytes, of the chosen kind", () => {
  const array = new Float64Array(10_000);
  const key = (hash: "xxh3" | "sha256") => cacheKey("n", { array }, { hash });
  const before = [key("xxh3"), key("sha256")];
  expect(new Set(before).size).toBe(2);
  array[9_999] = 1;
  const after = [key("xxh3"), key("sha256")];
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
});

test.each([
  ["a function", { a: [0, () => 1] }, "the input.a[1] is a function"],
  ["a symbol", Symbol("s"), "the input is a symbol"],
  ["a field named by a symbol", { [Symbol("s")]: 1 }, "a field named by a symbol"],
  ["an instance", { a: new (class Foo {})() }, "the input.a is an instance of Foo"],
  ["a promise", [Promise.resolve(1)], "the input[0] is an instance of Promise"],
])("%s is refused, and the message says where it is", (_, input, message) => {
  expect(() => cacheKey("n", input)).toThrow(
    expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE", message: expect.stringContaining(message) }),
  );
});

test("cycles are refused, the same object twice is not", () => {
  const shared = { n: 1 };
  const cyclic: Record<string, unknown> = { shared };
  cyclic["again"] = new Map([[1, cyclic]]);
  expect(() => cacheKey("n", cyclic)).toThrow(/cycle/);
  expect(cacheKey("n", [shared, shared])).toBe(cacheKey("n", [{ n: 1 }, { n: 1 }]));
  let deep: unknown = 1;
  for (let level = 0; level < 5000; level++) deep = [deep];
  expect(() => cacheKey("n", deep)).toThrow(/more than 1000 levels/);
});

test("the version is part of the key, and names that make no key are refused", () => {
  const digest = createHash("sha256").update("text").digest("hex");
  expect(cacheKey("enrichment", "text")).toBe(`enrichment:${digest}`);
  expect(cacheKey("enrichment", "text", { version: "2" })).toBe(`enrichment@2:${digest}`);
  for (const version of ["", "a b", "a:b", "é"]) {
    expect(() => cacheKey("n", "text", { version })).toThrow(/version/);
  }
  expect(() => cacheKey("a:b", "text")).toThrow(
    expect.objectContaining({ code: "ERR_QUIVER_BAD_NAMESPACE" }),
  );
});

test("normalising makes near-equal texts one, at the choice of the caller", () => {
  const key = (input: unknown) => cacheKey("n", input, { normalize: "text" });
  expect(key("  Cafe\u0301 \n  au\tlait ")).toBe(cacheKey("n", "Caf\u00e9 au lait"));
  expect(key("Café")).not.toBe(key("café"));
  const lower = (input: unknown) => String(input).toLowerCase();
  expect(cacheKey("n", "ABC", { normalize: lower })).toBe(cacheKey("n", "abc"));
});

test("another process derives the same keys", () => {
  const program = `
    import { cacheKey, Tensor } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const inputs = [
      { b: [1, new Map([["x", new Set([2, 1])]])], a: new Date(5) },
      new Tensor(new Float32Array(5000), [50, 100]), ["\\ud800", 2n ** 70n, -0],
    ];
    console.log(JSON.stringify(inputs.map((input) => cacheKey("n", input))));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect(JSON.parse(output)).toEqual([
    cacheKey("n", { a: new Date(5), b: [1, new Map([["x", new Set([1, 2])]])] }),
    cacheKey("n", new Tensor(new Float32Array(5000), [50, 100])),
    cacheKey("n", ["\ud800", 2n ** 70n, -0]),
  ]);
});

test.skipIf(python === undefined)("Python derives the same key from a text", async () => {
  const texts = ["", "text", "naïve café \u{1f680}", "line\nbreak", "a".repeat(100_000)];
  const script = `
import hashlib, json, sys
print(json.dumps(["enrichment:" + hashlib.sha256(text.encode()).hexdigest() for text in json.loads(sys.argv[1])]))`;
  const expected = await runPython<string[]>(python as string, script, texts);
  expect(texts.map((text) => cacheKey("enrichment", text))).toEqual(expected);
});

test("the form is what it always was: keys that were stored are found again", () => {
  const input = [
    { b: -0, a: "é" },
    [1n, new Array(1), Number.NaN],
    new Map([["k", new Set([true, null, undefined])]]),
  ];
  const arrays = [
    new Date(0),
    /x/gi,
    Uint8Array.of(1, 2),
    new Tensor(new Float32Array(1000).fill(1), [10, 100]),
  ];
  expect(cacheKey("n", input)).toMatchInlineSnapshot(
    `"n:34665aa012205561d1fcb21a1795343aea7489a87b3090cc1d5d32f274ac9e87"`,
  );
  expect(cacheKey("n", arrays)).toMatchInlineSnapshot(
    `"n:df33481ef05a777f772d484a5819c88820a5ddff1afc4c7f9891802d9e9b61fd"`,
  );
  expect(cacheKey("n", arrays, { hash: "sha256" })).toMatchInlineSnapshot(
    `"n:4a569d8d3724086fee6769f300083a85b63a1bfb5da5f274237de9a90dba6ffb"`,
  );
});
