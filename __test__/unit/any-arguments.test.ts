/**
 * Every public function and method with arguments of every kind: what fails fails with a QuiverError, or with what the
 * argument itself threw, and never with what JavaScript says of a mistake in the package.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import * as quiver from "../../src/index.ts";
import * as simulation from "../../src/simulation/index.ts";

const folder = mkdtempSync(join(tmpdir(), "quiver-arguments-"));
// Some of the names are taken for those of files.
process.chdir(folder);
const vectorizer = quiver.hashingVectorizer({ dimension: 8 });
const tensor = new quiver.Tensor(new Float32Array(12), [3, 4]);
const onDisk = await quiver.Cache.open(join(folder, "disk"));
const inMemory = await quiver.Cache.open(undefined, { store: new quiver.MemoryStore() });
const asFiles = await quiver.Cache.open(undefined, {
  store: await quiver.FileStore.open(join(folder, "files")),
});
const vectors = await quiver.VectorCache.create({ name: "v", texts: ["a", "b"], vectorizer, root: folder });
const dataset = await quiver.Dataset.write(join(folder, "d"), { a: tensor, b: ["x", "y", "z"] });

afterAll(async () => {
  await Promise.all([onDisk, inMemory, asFiles].map((cache) => cache.close()));
  rmSync(folder, { recursive: true, force: true });
});

const cyclic: Record<string, unknown> = {};
cyclic["itself"] = cyclic;

/** Thrown by arguments. */
class Theirs extends Error {}

const theirs = (): never => {
  throw new Theirs("not the package's");
};

const KINDS: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  10n,
  "",
  "a\0b",
  "\ud800",
  Symbol("s"),
  [],
  [1, "a", null],
  [2 ** 40],
  { length: 2 ** 52 },
  {},
  { ttl: "soon" },
  { signal: 1 },
  cyclic,
  Object.create(null),
  () => 1,
  theirs,
  async () => theirs(),
  new Map([["a", 1]]),
  new Date(Number.NaN),
  new Uint8Array(5),
  new SharedArrayBuffer(8),
  AbortSignal.abort(),
  new Proxy({}, { get: theirs, has: theirs, ownKeys: theirs }),
  tensor,
  join(folder, "nothing"),
];

/** What many functions take before the argument that is tried. */
const BEFORE: readonly unknown[] = ["key", tensor];

// biome-ignore lint/suspicious/noExplicitAny: methods are looked up by name.
type Loose = any;

const TARGETS: Readonly<Record<string, Loose>> = {
  quiver,
  simulation,
  Cache: quiver.Cache,
  Tensor: quiver.Tensor,
  Dataset: quiver.Dataset,
  VectorCache: quiver.VectorCache,
  FileStore: quiver.FileStore,
  onDisk,
  inMemory,
  asFiles,
  "onDisk's namespace": onDisk.namespace("n"),
  "inMemory's namespace": inMemory.namespace("n"),
  "asFiles' namespace": asFiles.namespace("n"),
  tensor,
  dataset,
  column: dataset.column("a"),
  vectors,
};

/** Ends what the next call needs, or is itself an error to be made. */
const LEFT_OUT: ReadonlySet<string> = new Set(["constructor", "close", "QuiverError"]);

function functionsOf(target: object): string[] {
  const names = new Set<string>();
  for (let object = target; ; object = Object.getPrototypeOf(object)) {
    if (object === null || object === Object.prototype || object === Function.prototype) break;
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      if (typeof value === "function" && !LEFT_OUT.has(name)) names.add(name);
    }
  }
  return [...names];
}

const isClass = (value: object): boolean => /^class\b/.test(Function.prototype.toString.call(value));

async function call(target: Loose, name: string, args: readonly unknown[]): Promise<void> {
  const made = await (isClass(target[name]) ? new target[name](...args) : target[name](...args));
  if (made instanceof quiver.Cache) await made.close();
  // Generators begin their work when they are asked.
  else if (typeof made?.next === "function") await made.next();
}

const isExplained = (error: unknown): boolean => quiver.isQuiverError(error) || error instanceof Theirs;

test.each(Object.entries(TARGETS))("%s", async (_, target) => {
  const unexplained: string[] = [];
  for (const name of functionsOf(target)) {
    for (const kind of KINDS) {
      for (const args of [[kind], ...BEFORE.map((first) => [first, kind])]) {
        await call(target, name, args).catch((error: unknown) => {
          if (!isExplained(error)) unexplained.push(`${name}(${args.map(kindOf).join(", ")}): ${error}`);
        });
      }
    }
  }
  expect(unexplained).toEqual([]);
});

function kindOf(value: unknown): string {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "object") : String(value);
}
