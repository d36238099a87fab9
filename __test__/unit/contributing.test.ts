/** Does what the documents say: the code on the pages is written to a folder, compiled and run from there. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { afterAll, expect, test } from "vitest";

const root: string = resolve(import.meta.dirname, "../..");
const folder: string = join(root, ".quiver-test", `documents-${process.pid}`);

/** The TypeScript blocks of a page that begin with the path of their file. */
function filesOn(page: string): Map<string, string> {
  const text = readFileSync(join(root, page), "utf8");
  const blocks = text.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```$/gms);
  return new Map([...blocks].map(([, path = "", code = ""]) => [path, code]));
}

/** Writes the files as if `folder` were the repository; what is not on the page is imported from the real one. */
function write(files: ReadonlyMap<string, string>): string[] {
  return [...files].map(([path, code]) => {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    const rewritten = code.replace(/(?<=from ")\.[^"]+/g, (specifier) => {
      const imported = join(dirname(path), specifier);
      return files.has(imported) ? specifier : relative(dirname(target), join(root, imported));
    });
    writeFileSync(target, rewritten);
    return target;
  });
}

function problemsOf(files: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.test.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(files, options);
  const diagnostics = files.flatMap((file) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  });
  return diagnostics.map(
    ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
  );
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files: string[] = write(filesOn("CONTRIBUTING.md"));

test("CONTRIBUTING.md has a codec, a store and a test of each", () => {
  expect(files.map((file) => relative(folder, file)).sort()).toEqual([
    "__test__/conformance/map.test.ts",
    "__test__/unit/pgm.test.ts",
    "src/codecs/pgm.ts",
    "src/stores/map-scan.ts",
    "src/stores/map.ts",
  ]);
});

test("its code compiles in strict mode", () => {
  expect(problemsOf(files)).toEqual([]);
});

// The tests on the page register themselves here.
for (const file of files.filter((name) => name.endsWith(".test.ts"))) {
  await import(pathToFileURL(file).href);
}

test("the first example of README.md compiles and runs", async () => {
  const text = readFileSync(join(root, "README.md"), "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(text)?.[1] ?? "";
  const cache = join(folder, "cache");
  const local = code
    .replace('"quiver-cache"', '"../../src/index.ts"')
    .replace('"./cache"', JSON.stringify(cache));
  const [example = ""] = write(new Map([["examples/readme/first.ts", local]]));
  expect(problemsOf([example])).toEqual([]);
  await import(pathToFileURL(example).href);
  const file = readFileSync(join(cache, "kernels/kernel_1.5_1000000.npy"));
  expect(file.subarray(1, 6).toString()).toBe("NUMPY");
  expect(file.readDoubleLE(file.byteLength - 8_000_000)).toBe(1);
  expect(file.readDoubleLE(file.byteLength - 7_999_992)).toBe(-1.5);
});

test("the configurations of docs/choosing.md compile and run", async () => {
  const text = readFileSync(join(root, "docs/choosing.md"), "utf8");
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""], index) => {
    const cache = JSON.stringify(join(folder, `chosen-${index}`));
    const local = code.replace('"quiver-cache"', '"../../src/index.ts"').replace('"./cache"', cache);
    return [`examples/choosing/${index}.ts`, local] as const;
  });
  expect(blocks.length).toBeGreaterThan(3);
  const written = write(new Map(blocks));
  expect(problemsOf(written)).toEqual([]);
  for (const file of written) await import(pathToFileURL(file).href);
  expect(readFileSync(join(folder, "chosen-2/reports/monday.txt"), "utf8")).toBe("all is well");
});

test("the store of docs/deployment.md compiles and works without a server", async () => {
  const text = readFileSync(join(root, "docs/deployment.md"), "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(text)?.[1] ?? "";
  // Nobody listens there: no server of anybody else is written to.
  const local = code
    .replace('"quiver-cache"', '"../../src/index.ts"')
    .replace(/process\.env\["QUIVER_REDIS_URL"\] \?\? "[^"]*"/, '"redis://127.0.0.1:1"');
  const [example = ""] = write(new Map([["examples/deployment/tiers.ts", local]]));
  expect(problemsOf([example])).toEqual([]);
  await import(pathToFileURL(example).href);
});

test("links between the pages lead somewhere", () => {
  const pages = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/format.md",
    "docs/comparison.md",
    "docs/choosing.md",
    "docs/deployment.md",
    "bench/README.md",
  ];
  const dead = pages.flatMap((page) => {
    const links = readFileSync(join(root, page), "utf8").matchAll(/\]\((?!https?:)([^)#]+)/g);
    const targets = [...links].map(([, link = ""]) => join(root, dirname(page), link));
    return targets.filter((target) => !existsSync(target)).map((target) => `${page}: ${target}`);
  });
  expect(dead).toEqual([]);
});
