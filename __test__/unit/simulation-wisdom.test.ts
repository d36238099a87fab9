/** Reading and merging FFTW wisdom, on texts in the form that FFTW writes. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeWisdom, isWisdom, mergeWisdom } from "../../src/simulation/index.ts";

const HEAD = "(fftw-3.3.10 fftw_wisdom #x3c273403 #x192df114 #x4d08727c #xe98e9b9d\n";
const FIRST =
  "  (fftw_codelet_n2fv_64_avx 0 #x11bdd #x11bdd #x0 #x0325f2a8 #x09d79e92 #x087cac0f #xb9ee6d12)\n";
const SECOND = "  (fftw_dft_vrank_geq1_register 1 #x1040 #x1040 #x0 #xcf6061a3 #x568aee5c #x3ed75045 #x0)\n";
const TEXT = `${HEAD}${FIRST}${SECOND})\n`;

const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const merge = (...texts: string[]): string => Buffer.from(mergeWisdom(texts.map(bytes))).toString("latin1");

test("wisdom is described by what it says", () => {
  expect(describeWisdom(bytes(TEXT))).toEqual({
    version: "3.3.10",
    precision: "double",
    buildWords: [0x3c273403, 0x192df114, 0x4d08727c, 0xe98e9b9d],
    plans: [
      {
        solver: "fftw_codelet_n2fv_64_avx",
        registration: 0,
        flags: [0x11bdd, 0x11bdd, 0],
        problem: [0x0325f2a8, 0x09d79e92, 0x087cac0f, 0xb9ee6d12],
      },
      {
        solver: "fftw_dft_vrank_geq1_register",
        registration: 1,
        flags: [0x1040, 0x1040, 0],
        problem: [0xcf6061a3, 0x568aee5c, 0x3ed75045, 0],
      },
    ],
  });
  const longer = TEXT.replaceAll(/#x([0-9a-f]{8})/g, "#x1$1");
  expect(describeWisdom(bytes(longer))).toEqual(describeWisdom(bytes(TEXT)));
  const precisions = ["fftwf_wisdom", "fftwl_wisdom", "fftwq_wisdom"].map(
    (preamble) => describeWisdom(bytes(TEXT.replace("fftw_wisdom", preamble))).precision,
  );
  expect(precisions).toEqual(["single", "long double", "quad"]);
});

test.each([
  ["white space before it", ` \n\t${TEXT}`],
  ["CRLF", TEXT.replaceAll("\n", "\r\n")],
  ["no last newline", TEXT.trimEnd()],
  ["text after it", `${TEXT}# my plans, \u00e9 \u0000`],
  ["no plans", `${HEAD})`],
])("with %s is wisdom", (_, text) => {
  expect(isWisdom(bytes(text))).toBe(true);
});

test.each([
  ["nothing", ""],
  ["other text before it", `# plans\n${TEXT}`],
  ["only its head", HEAD],
  ["no closing bracket", TEXT.slice(0, -2)],
  ["half a plan", TEXT.replace(" #xb9ee6d12", "")],
  ["a plan cut off", TEXT.slice(0, -30)],
  ["another library's name", TEXT.replace("fftw-", "fftv-")],
  ["an unknown precision", TEXT.replace("fftw_wisdom", "fftwz_wisdom")],
  ["a word that is no number", TEXT.replace("#x192df114", "#xthing")],
  ["flags on which FFTW aborts", TEXT.replace("#x11bdd", "#x111bdd")],
])("with %s is none", (_, text) => {
  expect(isWisdom(bytes(text))).toBe(false);
  expect(() => describeWisdom(bytes(text))).toThrow(expect.objectContaining({ code: "ERR_QUIVER_CORRUPT" }));
});

test("any bytes get an answer", () => {
  const pieces = fc.constantFrom(
    "(",
    ")",
    " ",
    "\n",
    "fftw-3",
    "fftw_wisdom",
    "#x0",
    "#x",
    "0",
    HEAD,
    FIRST,
    "\u00ff",
  );
  fc.assert(fc.property(fc.array(pieces), (parts) => typeof isWisdom(bytes(parts.join(""))) === "boolean"));
  fc.assert(fc.property(fc.uint8Array(), (noise) => !isWisdom(noise)));
  expect(isWisdom(bytes(`${HEAD}  (${"a".repeat(1_000_000)}`))).toBe(false);
  expect(isWisdom(bytes(" ".repeat(1_000_000)))).toBe(false);
});

describe("merging", () => {
  test("gives the union, whatever the order, the form and the repetitions", () => {
    const one = `${HEAD}${FIRST})\n`;
    const other = `\n${HEAD}${SECOND})`.replaceAll("\n", "\r\n");
    const merged = merge(one, other);
    expect(merged).toBe(TEXT.replace("#x0)", "#x00000000)"));
    expect(merge(other, one)).toBe(merged);
    expect(merge(merged, one, merged)).toBe(merged);
    expect(merge(`${HEAD}${SECOND}${FIRST})`)).toBe(merged);
  });

  test("keeps the last plan for a problem, and plans for other flags beside it", () => {
    const again = FIRST.replace("n2fv_64_avx 0", "n1fv_64_avx 2");
    const patient = FIRST.replace("#x11bdd", "#x10");
    expect(merge(`${HEAD}${FIRST})`, `${HEAD}${again})`)).toBe(`${HEAD}${again})\n`);
    expect(describeWisdom(bytes(merge(`${HEAD}${FIRST})`, `${HEAD}${patient})`))).plans).toHaveLength(2);
  });

  test("refuses what one library would not import", () => {
    for (const other of [
      TEXT.replace("3.3.10", "3.3.8"),
      TEXT.replace("fftw_wisdom", "fftwf_wisdom"),
      TEXT.replace("#x3c273403", "#x3c273404"),
    ]) {
      expect(() => merge(TEXT, other)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }));
    }
    expect(() => merge()).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" }));
    expect(() => merge(TEXT, "")).toThrow(expect.objectContaining({ code: "ERR_QUIVER_CORRUPT" }));
  });
});
