/** FFTW wisdom, both ways with the real library: through pyfftw, and from C. */

import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Cache } from "../../src/cache/cache.ts";
import {
  describeWisdom,
  grunwaldLetnikov,
  isWisdom,
  mergeWisdom,
  simulationCache,
} from "../../src/simulation/index.ts";
import { findPython, runPython } from "./python.ts";

const python = findPython("numpy", "pyfftw");
if (python === undefined) console.warn("fftw.test.ts: no Python with pyfftw, its tests are skipped");
const hasHeaders = ["/usr/include/fftw3.h", "/usr/local/include/fftw3.h"].some(existsSync) && hasCompiler();
if (!hasHeaders)
  console.warn("fftw.test.ts: no C compiler or no fftw3.h, the test of the C example is skipped");

function hasCompiler(): boolean {
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Plans transforms of each length anew and prints the wisdom of the three precisions, as hexadecimal digits. */
const EXPORT = `
import json, sys, pyfftw
out = []
for lengths in json.loads(sys.argv[1]):
    pyfftw.forget_wisdom()
    for dtype in ("complex128", "complex64", "clongdouble"):
        for n in lengths:
            a, b = (pyfftw.empty_aligned(n, dtype) for _ in range(2))
            pyfftw.FFTW(a, b, flags=("FFTW_MEASURE",))
    out.append([w.hex() for w in pyfftw.export_wisdom()])
print(json.dumps(out))
`;

/** For each file of double precision: whether it is imported, and which lengths can then be planned from it alone. */
const IMPORT = `
import json, sys, pyfftw
task = json.loads(sys.argv[1])
out = []
for path in task["files"]:
    pyfftw.forget_wisdom()
    _, single, long = pyfftw.export_wisdom()
    imported = pyfftw.import_wisdom((open(path, "rb").read(), single, long))[0]
    known = []
    for n in task["lengths"]:
        a, b = (pyfftw.empty_aligned(n, "complex128") for _ in range(2))
        try:
            pyfftw.FFTW(a, b, flags=("FFTW_MEASURE", "FFTW_WISDOM_ONLY"))
            known.append(n)
        except RuntimeError:
            pass
    out.append({"imported": bool(imported), "known": known})
print(json.dumps(out))
`;

interface Imported {
  readonly imported: boolean;
  readonly known: readonly number[];
}

let root: string;
let cache: Cache;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "quiver-fftw-"));
  cache = await simulationCache(root);
});
afterEach(async () => {
  await cache.close();
  rmSync(root, { recursive: true, force: true });
});

describe.skipIf(python === undefined)("with pyfftw", () => {
  /** Wisdom of two sets of plans; double, single and long double of each. */
  let written: readonly (readonly Uint8Array[])[];
  const lengths = [[256, 360], [1000]];
  beforeAll(async () => {
    const hex = await runPython<string[][]>(python as string, EXPORT, lengths);
    written = hex.map((precisions) => precisions.map((wisdom) => Buffer.from(wisdom, "hex")));
  });
  const doubles = (): Uint8Array[] => written.map(([double]) => double as Uint8Array);

  const importInto = async (...values: Uint8Array[]): Promise<Imported[]> => {
    const files = values.map((value, index) => {
      const path = join(root, `${index}.wisdom`);
      writeFileSync(path, value);
      return path;
    });
    return runPython(python as string, IMPORT, { files, lengths: lengths.flat() });
  };

  test("wisdom that FFTW wrote is stored byte for byte, as a file that FFTW imports", async () => {
    const wisdom = cache.namespace<Uint8Array>("fftw_wisdom");
    const [double] = doubles() as [Uint8Array];
    await wisdom.set("fft_256_360", double);
    await cache.close();
    cache = await simulationCache(root);
    const stored = await cache.namespace<Uint8Array>("fftw_wisdom").get("fft_256_360");
    expect(Buffer.compare(stored as Uint8Array, double)).toBe(0);
    const path = join(root, "fftw_wisdom", "fft_256_360.dat");
    expect(readFileSync(path)).toEqual(Buffer.from(double));
    const answer = await runPython(python as string, IMPORT, { files: [path], lengths: lengths.flat() });
    expect(answer).toEqual([{ imported: true, known: [256, 360] }]);
  });

  test("its precision, version and plans are told", () => {
    for (const precisions of written) {
      expect(precisions.map((wisdom) => describeWisdom(wisdom).precision)).toEqual([
        "double",
        "single",
        "long double",
      ]);
      for (const wisdom of precisions) {
        const { version, buildWords, plans } = describeWisdom(wisdom);
        const text = Buffer.from(wisdom).toString();
        expect(text.startsWith(`(fftw-${version} `)).toBe(true);
        expect(buildWords).toHaveLength(4);
        expect(plans.length).toBe(text.trimEnd().split("\n").length - 2);
        expect(plans.length).toBeGreaterThan(0);
      }
    }
  });

  test("merged wisdom has the plans of all, and FFTW imports it", async () => {
    const [first, second] = doubles() as [Uint8Array, Uint8Array];
    expect(await importInto(first, second, mergeWisdom([first, second]))).toEqual([
      { imported: true, known: [256, 360] },
      { imported: true, known: [1000] },
      { imported: true, known: [256, 360, 1000] },
    ]);
    expect(() => mergeWisdom([first, written[0]?.[1] as Uint8Array])).toThrow(/different libraries/);
  });

  test("what FFTW refuses is no wisdom, and the reverse", async () => {
    const text = Buffer.from(doubles()[0] as Uint8Array).toString();
    const variants = [
      text,
      "",
      " \t\r\n",
      `\v\f ${text}`,
      `x${text}`,
      text.replace("(fftw-", "( fftw-"),
      text.replace("(fftw-", "(FFTW-"),
      text.replaceAll("\n", "\r\n"),
      text.trimEnd(),
      `${text.trimEnd()}xyz`,
      text + text,
      text.slice(0, -3),
      text.slice(0, text.indexOf("\n")),
      text.slice(0, text.indexOf("\n") + 20),
      text.replaceAll(" #x", "#x"),
      text.replaceAll(" #x", "\t #x"),
      text.replaceAll("#x", "#X"),
      text.replaceAll("#x", "# x"),
      text.replaceAll("#x", "#x "),
      text.replaceAll("#x", "#x000"),
      text.replaceAll(/#x([0-9a-f]{8})/g, "#x1$1"),
      text.replaceAll("#x0 ", "#x "),
      text.replaceAll(/#x[0-9a-f]+/g, (word) => `#x${word.slice(2).toUpperCase()}`),
      text.replace(" fftw_wisdom", "fftw_wisdom"),
      text.replaceAll(" 0 ", " +00 "),
      text.replaceAll(" 0 ", " -0 "),
      text.replaceAll(" 0 ", " 0x "),
      text.replaceAll(" 0 ", " "),
      text.replaceAll("\n  (", "("),
      text.replaceAll("\n  (", "\n  (\n "),
      text.replaceAll(")\n", " )\n"),
      text.replaceAll("\n", "\u0000"),
      text.replaceAll("\n", "\u00a0"),
      text.replaceAll("\n", "\n# plan\n"),
    ].map((variant) => Buffer.from(variant, "latin1"));
    const answers = await importInto(...variants);
    const refused = variants.filter((_, index) => !answers[index]?.imported);
    const shown = (list: readonly Buffer[]): string[] =>
      list.map((variant) => JSON.stringify(variant.toString("latin1")));
    expect(shown(variants.filter((variant) => !isWisdom(variant)))).toEqual(shown(refused));
    expect(refused.length).toBeGreaterThan(10);
    expect(variants.length - refused.length).toBeGreaterThan(10);
  });
});

describe.skipIf(!hasHeaders)("with FFTW in C", () => {
  let work: string;
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), "quiver-fftw-c-"));
  });
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  const compile = (source: string, name: string): string => {
    const program = join(work, name);
    const flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1"];
    execFileSync("cc", [...flags, source, "-o", program, "-lfftw3", "-lm"], { stdio: "pipe" });
    return program;
  };
  const run = promisify(execFile);

  /** What this machine's FFTW learns from planning one transform of real numbers. */
  const learn = async (n: number): Promise<Uint8Array> => {
    const source = join(work, "learn.c");
    writeFileSync(
      source,
      `#include <stdio.h>
       #include <fftw3.h>
       int main(void) {
           double *in = fftw_alloc_real(${n});
           fftw_complex *out = fftw_alloc_complex(${n} / 2 + 1);
           fftw_destroy_plan(fftw_plan_dft_r2c_1d(${n}, in, out, FFTW_MEASURE));
           fftw_free(out);
           fftw_free(in);
           fftw_export_wisdom_to_file(stdout);
           return 0;
       }`,
    );
    return Buffer.from((await run(compile(source, "learn"))).stdout);
  };

  test("the example imports stored wisdom, plans with it alone, and transforms a stored kernel", async () => {
    const program = compile(resolve(import.meta.dirname, "../../examples/fftw-import.c"), "fftw-import");
    const wisdom = cache.namespace<Uint8Array>("fftw_wisdom");
    const kernels = cache.namespace("fractional_kernels");
    const kernel = grunwaldLetnikov(0.5, 0.01, 1000);
    await wisdom.set("here_r2c_1000", await learn(1000));
    await wisdom.set("here_r2c_64", await learn(64));
    await wisdom.set("elsewhere", Buffer.from("(fftw-3.3.10 fftw_wisdom #x1 #x2 #x3 #x4\n)\n"));
    await kernels.set("kernel_0.5_0.01_1000", kernel, { codec: "npy" });

    using kernelFile = await kernels.path("kernel_0.5_0.01_1000");
    const withWisdom = async (key: string): Promise<string> => {
      using wisdomFile = await wisdom.path(key, { verify: true });
      return (await run(program, [wisdomFile?.path ?? "", kernelFile?.path ?? ""])).stdout;
    };
    const [length, sum, transformed] = (await withWisdom("here_r2c_1000")).split(" ").map(Number);
    expect(length).toBe(1000);
    expect(sum).toBe(kernel.data.reduce((total, value) => total + value, 0));
    expect(transformed).toBeCloseTo(sum as number, 10);
    await expect(withWisdom("here_r2c_64")).rejects.toThrow(/no plan for 1000 elements/);
    await expect(withWisdom("elsewhere")).rejects.toThrow(/no wisdom for this build/);
  });
});
