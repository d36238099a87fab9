/** The package as those have it who install it: what is in it, and that it loads and compiles where they are. */

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import ts from "typescript";
import { afterAll, expect, test } from "vitest";

const root: string = resolve(import.meta.dirname, "../..");

/** A project with the built package among its own. */
const project: string = mkdtempSync(join(tmpdir(), "quiver-package-"));
mkdirSync(join(project, "node_modules"));
symlinkSync(root, join(project, "node_modules/quiver-cache"));
writeFileSync(join(project, "package.json"), '{ "type": "module" }');

afterAll(() => rmSync(project, { recursive: true, force: true }));

function run(args: readonly string[], cwd: string): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  return { status, out: stdout + stderr };
}

test("what is published is complete, and nothing of how it was built", () => {
  const { stdout } = spawnSync("npm", ["pack", "--dry-run", "--json"], { cwd: root, encoding: "utf8" });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const path of [
    "dist/index.js",
    "dist/index.d.ts",
    "dist/cli/main.js",
    "dist/native/quiver.node",
    "README.md",
    "LICENSE",
  ]) {
    expect(paths).toContain(path);
  }
  // Each module costs whoever loads the package half a millisecond.
  expect(paths.filter((path) => path.endsWith(".js")).length).toBeLessThan(15);
  // Source maps and declaration maps point there.
  expect(paths).toContain("src/index.ts");
  expect(paths.filter((path) => path.includes("/.") || /^src.*\.node$/.test(path))).toEqual([]);
});

test.each([
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
])("its types hold in a strict project with module %s, resolution %s", (module, moduleResolution) => {
  const program = `
    import { Cache, type Namespace, Tensor } from "quiver-cache";
    import { simulationCache } from "quiver-cache/simulation";
    import { storeSuite } from "quiver-cache/testing";
    await using cache = await Cache.open("./cache", { maxSize: "1GB" });
    export const tensors: Namespace<Tensor> = cache.namespace<Tensor>("tensors");
    export const read: Promise<Tensor | undefined> = tensors.get("a");
    // @ts-expect-error: no such option
    await Cache.open("./cache", { maxsize: 1 });
    export { simulationCache, storeSuite };
  `;
  const file = join(project, `${moduleResolution}.ts`);
  writeFileSync(file, program);
  const options = { target: "es2022", lib: "es2022", module, moduleResolution, types: "node" };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--noEmit"];
  const typeRoots = ["--typeRoots", join(root, "node_modules/@types")];
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  expect(run([tsc, ...flags, ...strict, ...typeRoots, file], project)).toEqual({ status: 0, out: "" });
});

test("the first example of the README does what it says", () => {
  const [, example = ""] = /^```ts\n(.*?)^```/ms.exec(readFileSync(join(root, "README.md"), "utf8")) ?? [];
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  writeFileSync(join(project, "example.js"), ts.transpileModule(example, { compilerOptions }).outputText);
  const { status, out } = run(["example.js"], project);
  const file = join(realpathSync(project), "cache/kernels/kernel_1.5_1000000.npy");
  expect({ status, out }).toEqual({ status: 0, out: `Tensor(float64 [1000000]) [ 1000000 ] ${file}\n` });
  expect(existsSync(file)).toBe(true);
});

test("every entry loads the same modules, and the command runs", () => {
  const program = `
    const { Cache, QuiverError } = await import("quiver-cache");
    const { simulationCache } = await import("quiver-cache/simulation");
    const { storeSuite } = await import("quiver-cache/testing");
    const error = await simulationCache("./all", { nonsense: true }).catch((error) => error);
    console.log(typeof Cache, typeof storeSuite, error instanceof QuiverError);
  `;
  expect(run(["--input-type=module", "--eval", program], project)).toEqual({
    status: 0,
    out: "function function true\n",
  });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(run([join(root, "dist/cli/main.js"), "--version"], project)).toEqual({
    status: 0,
    out: `${version}\n`,
  });
});

test("CommonJS can require it", () => {
  const program = `
    const { Cache, MemoryStore } = require("quiver-cache");
    Cache.open(undefined, { store: new MemoryStore() }).then(async (cache) => {
      await cache.namespace("a").set("b", { c: 1 });
      console.log(JSON.stringify(cache.namespace("a").getSync("b")));
      await cache.close();
    });
  `;
  expect(run(["--no-warnings", "--input-type=commonjs", "--eval", program], project)).toEqual({
    status: 0,
    out: '{"c":1}\n',
  });
});

test("without an add-on for this system it says so", () => {
  const copy = join(project, "foreign");
  cpSync(join(root, "dist"), copy, { recursive: true, filter: (path) => !path.endsWith(".node") });
  const program = `
    const { code, hint, fix, cause } = await import("./foreign/index.js").catch((error) => error);
    console.log(code, hint.length > 0, fix.includes("Linux"), cause.code);
  `;
  expect(run(["--input-type=module", "--eval", program], project)).toEqual({
    status: 0,
    out: "ERR_QUIVER_UNSUPPORTED true true MODULE_NOT_FOUND\n",
  });
});
