/** Keys that aim at other files, and links planted where the cache writes: nothing outside of its root changes. */

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cache, loadFile } from "../../src/index.ts";
import { codeOf, newFolder, tree } from "./bench.ts";

const hostile: readonly string[] = [
  "../../x",
  "../x",
  "..",
  ".",
  "/etc/passwd",
  "a/../../b",
  "a/b/c",
  "a\\..\\b",
  ".quiver/format",
  ".versions/x",
  "index",
  "README",
  "foo.meta",
  "x.meta.json",
  "con",
  "NUL",
  "LPT1.txt",
  "trailing.",
  "trailing ",
  " leading",
  "C:\\temp\\x",
  "a:b",
  "what?",
  "star*",
  'quo"te',
  "pipe|",
  "%2e%2e%2fx",
  "new\nline",
  "tab\tbell\u0007",
  "\u202Ertl",
  "🦀 emoji 👩‍👩‍👧",
  // Where the look-up begins to take a key for a long one.
  "k".repeat(255),
  "k".repeat(256),
  "k".repeat(257),
  "k".repeat(5_000),
  `${"k".repeat(255)}ü`,
  "ü".repeat(2_000),
  "Key",
  "key",
  "KEY",
  "\u00e9",
  "e\u0301",
  "ﬁ",
  "fi",
  "ſ",
  "s",
];

describe.for(["named", "hashed"] as const)("in the layout %s", (layout) => {
  async function open(root: string): Promise<Cache> {
    return Cache.open(root, { namespaces: { n: { layout, index: true } } });
  }

  test("each hostile key is a key like any other, and no file leaves the root", async () => {
    const outer = newFolder();
    const root = join(outer, "deep/er/cache");
    {
      await using cache = await open(root);
      const space = cache.namespace("n");
      for (const [i, key] of hostile.entries()) await space.set(key, { number: i }, { metadata: { i } });
      for (const [i, key] of hostile.entries()) expect(await space.get(key)).toEqual({ number: i });
    }
    await using cache = await open(root);
    const space = cache.namespace("n");
    const keys: string[] = [];
    for await (const key of space.keys()) keys.push(key);
    expect(keys.sort()).toEqual([...hostile].sort());
    for (const [i, key] of hostile.entries()) expect(await space.get(key)).toEqual({ number: i });
    for (const [i, key] of hostile.entries()) expect(space.getSync(key)).toEqual({ number: i });
    const files = tree(outer);
    expect(files.filter((path) => !path.startsWith("deep/er/cache/"))).toEqual([]);
    const known = /^deep\/er\/cache\/(\.quiver\/|README\.md$|\.gitignore$|CACHEDIR\.TAG$|n\/[^/]+$)/;
    expect(files.filter((path) => !known.test(path))).toEqual([]);
    const index = JSON.parse(readFileSync(join(root, "n/index.json"), "utf8"));
    expect(Object.keys(index.entries).sort()).toEqual([...hostile].sort());

    for (const key of hostile) expect(await space.delete(key)).toBe(true);
    const left = tree(join(root, "n")).filter((path) => path !== "index.json");
    expect(left).toEqual([]);
  });

  test("what is no key is refused before anything is written", async () => {
    const root = newFolder();
    await using cache = await open(root);
    const space = cache.namespace("n");
    for (const key of ["", "a\0b", "\ud800", "x\udc00y", "k".repeat(20_000), 3 as never]) {
      expect(await codeOf(space.set(key, 1))).toBe("ERR_QUIVER_BAD_KEY");
      expect(await codeOf(space.get(key))).toBe("ERR_QUIVER_BAD_KEY");
      expect(() => space.getSync(key)).toThrow(expect.objectContaining({ code: "ERR_QUIVER_BAD_KEY" }));
      expect(await codeOf(space.delete(key))).toBe("ERR_QUIVER_BAD_KEY");
    }
    expect(tree(join(root, ".quiver/objects"))).toEqual([]);
  });
});

test("names of namespaces can't leave the root either", async () => {
  const outer = newFolder();
  await using cache = await Cache.open(join(outer, "cache"));
  for (const name of ["../x", "..", ".", ".quiver", "a/b", "", "/tmp", "a\0", "-x"]) {
    const attempt = async () => cache.namespace(name).set("k", 1);
    expect(await codeOf(attempt())).toBe("ERR_QUIVER_BAD_NAMESPACE");
  }
  expect(readdirSync(outer)).toEqual(["cache"]);
});

describe("symbolic links", () => {
  test("under a readable name are replaced, never written through or adopted", async () => {
    const outer = newFolder();
    const secret = join(outer, "secret.json");
    writeFileSync(secret, '"secret"');
    const root = join(outer, "cache");
    await using cache = await Cache.open(root, { namespaces: { n: { layout: "named" } } });
    const space = cache.namespace("n");
    await space.set("other", 1);
    symlinkSync(secret, join(root, "n/k.json"));
    expect(await space.get("k")).toBeUndefined();
    await space.set("k", { mine: true });
    expect(await space.get("k")).toEqual({ mine: true });
    expect(readFileSync(secret, "utf8")).toBe('"secret"');
    symlinkSync(secret, join(root, "n/k.meta.json"));
    await space.set("k", { mine: 2 }, { metadata: { a: 1 } });
    expect(readFileSync(secret, "utf8")).toBe('"secret"');
    await space.delete("k");
    expect(readFileSync(secret, "utf8")).toBe('"secret"');
  });

  test.for([
    "format.json",
    "stamps",
    "heat",
    "reserve",
    "locks/leases",
    "locks/flights",
    "locks/write",
    "locks/open",
  ])("in place of .quiver/%s are not written through", async (name) => {
    const outer = newFolder();
    const target = join(outer, "target");
    const root = join(outer, "cache");
    mkdirSync(join(root, ".quiver/locks"), { recursive: true });
    symlinkSync(target, join(root, ".quiver", name));
    const code = await codeOf(
      (async () => {
        await using cache = await Cache.open(root);
        await cache.namespace("n").set("k", new Uint8Array(100_000));
      })(),
    );
    expect([undefined, "ERR_QUIVER_IO", "ERR_QUIVER_PERMISSION"]).toContain(code);
    expect(readdirSync(outer)).toEqual(["cache"]);
  });

  test("in .quiver/tmp and .quiver/trash are removed, not followed", async () => {
    const outer = newFolder();
    const kept = join(outer, "kept");
    mkdirSync(kept);
    writeFileSync(join(kept, "file"), "kept");
    const root = join(outer, "cache");
    await (await Cache.open(root)).close();
    for (const folder of ["tmp", "trash"]) {
      symlinkSync(join(kept, "file"), join(root, ".quiver", folder, "to-file"));
      symlinkSync(kept, join(root, ".quiver", folder, "to-folder"));
    }
    // As a process that died leaves it, so that opening sweeps.
    writeFileSync(join(root, ".quiver/locks/p-1-1"), "another boot");
    await (await Cache.open(root)).close();
    expect(readFileSync(join(kept, "file"), "utf8")).toBe("kept");
  });

  test("in place of an object are not followed", async () => {
    const outer = newFolder();
    const secret = join(outer, "secret");
    writeFileSync(secret, new Uint8Array(100_000).fill(1));
    const root = join(outer, "cache");
    await using cache = await Cache.open(root);
    await cache.namespace("n").set("k", new Uint8Array(100_000).fill(2), { codec: "bin" });
    const [object] = tree(join(root, ".quiver/objects"));
    const path = join(root, ".quiver/objects", object as string);
    rmSync(path);
    symlinkSync(secret, path);
    const value = await cache
      .namespace("n")
      .get("k")
      .catch((error) => error.code);
    expect([undefined, "ERR_QUIVER_IO", "ERR_QUIVER_CHECKSUM_MISMATCH", "ERR_QUIVER_CORRUPT"]).toContain(
      value,
    );
  });
});

test("a header that claims a shape of 2^53 elements is refused without allocating for it", async () => {
  const folder = newFolder();
  for (const shape of [
    "(9007199254740992,)",
    "(4294967296, 4294967296)",
    "(18446744073709551615,)",
    "(9007199254740991, 0, 3)",
  ]) {
    const text = `{'descr': '<f8', 'fortran_order': False, 'shape': ${shape}, }`;
    const header = `${text.padEnd(128 - 10 - 1, " ")}\n`;
    const bytes = Buffer.concat([
      Buffer.from("\x93NUMPY\x01\x00", "latin1"),
      Buffer.from([header.length & 255, header.length >> 8]),
      Buffer.from(header),
      Buffer.alloc(64),
    ]);
    const path = join(folder, "huge.npy");
    writeFileSync(path, bytes);
    expect(await codeOf(loadFile(path))).toBe("ERR_QUIVER_CORRUPT");
  }
});
