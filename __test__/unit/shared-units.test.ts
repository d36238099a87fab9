import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/shared/units.ts";

describe("parseSize", () => {
  test.each([
    [0, 0],
    [1234, 1234],
    ["0", 0],
    ["17", 17],
    ["512MB", 512 * 1024 ** 2],
    ["10GB", 10 * 1024 ** 3],
    ["10 GiB", 10 * 1024 ** 3],
    ["4kb", 4096],
    ["4K", 4096],
    ["1.5M", 1.5 * 1024 ** 2],
    [".5KB", 512],
    ["2TB", 2 * 1024 ** 4],
    [" 3 B ", 3],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ])("%j is %j bytes", (size, bytes) => {
    expect(parseSize(size)).toBe(bytes);
  });

  test.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    "",
    "-1",
    "1e3",
    "MB",
    "10 XB",
    "1KiBB",
    "10 G B",
    "9999999TB",
    "0x10",
  ])("refuses %j and names the option", (size) => {
    expect(() => parseSize(size, "maxSize")).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION", message: expect.stringContaining("maxSize") }),
    );
  });

  test("refuses what is neither number nor string", () => {
    for (const size of [null, undefined, {}, true, 10n]) {
      expect(() => parseSize(size as never)).toThrow(
        expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION" }),
      );
    }
  });
});

describe("parseDuration", () => {
  test.each([
    [0, 0],
    [1500, 1500],
    ["250", 250],
    ["500ms", 500],
    ["30s", 30_000],
    ["30m", 1_800_000],
    ["1.5h", 5_400_000],
    ["2 h", 7_200_000],
    ["7d", 604_800_000],
    ["1W", 604_800_000],
  ])("%j is %j ms", (duration, milliseconds) => {
    expect(parseDuration(duration)).toBe(milliseconds);
  });

  test("null means for ever", () => {
    expect(parseDuration(null)).toBe(null);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, "", "1y", "h", "-2h", "2h30m", "99999999999d"])(
    "refuses %j",
    (duration) => {
      expect(() => parseDuration(duration, "ttl")).toThrow(
        expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION", message: expect.stringContaining("ttl") }),
      );
    },
  );
});

describe("formats", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KB"],
    [1536, "1.5 KB"],
    [2.1 * 1024 ** 3, "2.1 GB"],
  ])("%d bytes are %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  test.each([
    [null, "for ever"],
    [0, "0 ms"],
    [0.25, "0.3 ms"],
    [999, "999 ms"],
    [1500, "1.5 s"],
    [5_400_000, "1.5 h"],
    [14 * 86_400_000, "14 d"],
  ])("%d ms are %s", (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  test("what is formatted parses to nearly the same", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 50 }), (amount) => {
        expect(Math.abs(parseSize(formatSize(amount)) - amount)).toBeLessThanOrEqual(amount * 0.06);
        expect(Math.abs(parseDuration(formatDuration(amount)) - amount)).toBeLessThanOrEqual(amount * 0.06);
      }),
    );
  });
});
