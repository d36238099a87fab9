import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkKey, checkNamespace, compareKeys } from "../../src/shared/keys.ts";

const badKey = expect.objectContaining({ code: "ERR_QUIVER_BAD_KEY" });
const badNamespace = expect.objectContaining({ code: "ERR_QUIVER_BAD_NAMESPACE" });

describe("keys", () => {
  test.each(["a", " ", "../../x", "\u{1f3f9}", "x".repeat(16_384), "é".repeat(8192), "\uffff"])(
    "%j is one",
    (key) => {
      expect(() => checkKey(key)).not.toThrow();
    },
  );

  test.each([
    ["empty", ""],
    ["NUL", "a\0b"],
    ["a high surrogate alone", "a\ud800"],
    ["a low surrogate alone", "\udc00a"],
    ["surrogates in the wrong order", "\udc00\ud800"],
    ["16,385 bytes", "x".repeat(16_385)],
    ["16,385 bytes in 8193 characters", `${"é".repeat(8192)}x`],
    ["a number", 1],
    ["null", null],
    ["an array", ["a"]],
  ])("%s is none", (_, key) => {
    expect(() => checkKey(key)).toThrow(badKey);
  });

  test("they are compared as their UTF-8 bytes are", () => {
    const key = fc.string({ unit: "binary", maxLength: 6 });
    fc.assert(
      fc.property(key, key, (left, right) => {
        const expected = Buffer.compare(Buffer.from(left), Buffer.from(right));
        expect(Math.sign(compareKeys(left, right))).toBe(expected);
      }),
    );
    expect(compareKeys("\uffff", "\u{10000}")).toBeLessThan(0);
    expect(compareKeys("a\ue000", "a\u{10000}")).toBeLessThan(0);
    expect(compareKeys("\u{10ffff}a", "\u{10ffff}b")).toBeLessThan(0);
  });
});

describe("namespaces", () => {
  test.each(["a", "fractional_kernels", "v1.2-x", "0", "console", "x".repeat(128)])(
    "%s can name one",
    (name) => {
      expect(() => checkNamespace(name)).not.toThrow();
    },
  );

  test.each([
    "",
    ".",
    "..",
    ".quiver",
    "-x",
    "_x",
    "a/b",
    "a\\b",
    "a b",
    "é",
    "x".repeat(129),
    "trailing.",
    "README",
    "readme.md",
    "CacheDir.TAG",
    "con",
    "NUL.txt",
    "Lpt1",
    "com9.x",
    1,
    undefined,
    null,
  ])("%j can't", (name) => {
    expect(() => checkNamespace(name)).toThrow(badNamespace);
  });
});
