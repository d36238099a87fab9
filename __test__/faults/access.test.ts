/** Permissions that are missing, media that are read-only, and roots that go away. */

import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { canRun, codeOf, isRoot, newFolder, run, tree } from "./bench.ts";

async function filled(root: string): Promise<void> {
  await using cache = await Cache.open(root, { namespaces: { named: { layout: "named" } } });
  await cache.namespace("named").set("k", { value: 1 });
  await cache.namespace("small").set("k", "text");
  await cache.namespace("large").set("k", new Uint8Array(200_000).fill(3));
}

async function expectReadable(cache: Cache): Promise<void> {
  expect(await cache.namespace("named").get("k")).toEqual({ value: 1 });
  expect(await cache.namespace("small").get("k")).toBe("text");
  expect(await cache.namespace("large").get("k")).toEqual(new Uint8Array(200_000).fill(3));
}

describe("read-only", () => {
  test("beside a live writer, it serves what the writer commits and writes nothing", async () => {
    const root = newFolder();
    await filled(root);
    const before = tree(root).filter((path) => !path.startsWith(".quiver/locks/"));
    await using reader = await Cache.open(root, { mode: "read-only" });
    await expectReadable(reader);
    expect(await codeOf(reader.namespace("small").set("k", 2))).toBe("ERR_QUIVER_READ_ONLY");
    expect(await codeOf(reader.namespace("small").delete("k"))).toBe("ERR_QUIVER_READ_ONLY");
    expect(await codeOf(reader.clear())).toBe("ERR_QUIVER_READ_ONLY");
    expect(tree(root).filter((path) => !path.startsWith(".quiver/locks/"))).toEqual(before);
  });

  test("of a folder without a cache it makes none", async () => {
    const root = newFolder();
    expect(await codeOf(Cache.open(join(root, "none"), { mode: "read-only" }))).toBeDefined();
    expect(await codeOf(Cache.open(root, { mode: "read-only" }))).toBeDefined();
    expect(tree(root)).toEqual([]);
  });

  test.skipIf(!isRoot || !canRun("unshare", "-m", "true"))("on media that nobody can write", async () => {
    const root = newFolder();
    await filled(root);
    const media = newFolder();
    run("mount", "--bind", root, media);
    try {
      run("mount", "-o", "remount,bind,ro", media);
      {
        await using cache = await Cache.open(media, { mode: "read-only" });
        await expectReadable(cache);
      }
      expect(["ERR_QUIVER_READ_ONLY", "ERR_QUIVER_PERMISSION", "ERR_QUIVER_IO"]).toContain(
        await codeOf(Cache.open(media)),
      );
    } finally {
      run("umount", "-l", media);
    }
  });
});

describe("a root that goes away", () => {
  test("while the cache is open: typed errors or misses, and a new cache can be opened in its place", async () => {
    const root = join(newFolder(), "cache");
    await filled(root);
    const cache = await Cache.open(root);
    rmSync(root, { recursive: true });
    const large = cache.namespace("large");
    expect(String(await codeOf(large.set("new", new Uint8Array(100_000))))).toMatch(
      /^ERR_QUIVER_|^undefined$/,
    );
    const got = await large.get("k").catch((error) => error.code as string);
    if (typeof got === "string") expect(got).toMatch(/^ERR_QUIVER_/);
    else if (got !== undefined) expect(got).toEqual(new Uint8Array(200_000).fill(3));
    await cache.close().catch((error) => expect(error.code).toMatch(/^ERR_QUIVER_/));
    rmSync(root, { recursive: true, force: true });
    await filled(root);
    await using again = await Cache.open(root);
    await expectReadable(again);
  });

  test("renamed and replaced by another cache: neither is damaged", async () => {
    const folder = newFolder();
    const root = join(folder, "cache");
    await filled(root);
    const cache = await Cache.open(root);
    renameSync(root, join(folder, "moved"));
    mkdirSync(root);
    await codeOf(cache.namespace("small").set("late", "value"));
    await cache.close().catch((error) => expect(error.code).toMatch(/^ERR_QUIVER_/));
    await using moved = await Cache.open(join(folder, "moved"));
    await expectReadable(moved);
    expect(existsSync(join(folder, "moved/.quiver/catalog/data.mdb"))).toBe(true);
  });
});

describe("permissions", () => {
  test.skipIf(!isRoot || !canRun("setpriv", "--version"))(
    "another user without access gets a typed error",
    async () => {
      const root = newFolder();
      await filled(root);
      chmodSync(root, 0o700);
      const effective = process.geteuid?.() as number;
      process.seteuid?.(65_534);
      try {
        expect(["ERR_QUIVER_PERMISSION", "ERR_QUIVER_IO"]).toContain(await codeOf(Cache.open(root)));
        expect(["ERR_QUIVER_PERMISSION", "ERR_QUIVER_IO"]).toContain(
          await codeOf(Cache.open(root, { mode: "read-only" })),
        );
      } finally {
        process.seteuid?.(effective);
      }
      await using cache = await Cache.open(root);
      await expectReadable(cache);
    },
  );

  test("of what is made follow the option, whatever the umask", async () => {
    const root = newFolder();
    const umask = process.umask(0o077);
    try {
      await filled(root);
    } finally {
      process.umask(umask);
    }
    expect(readFileSync(join(root, "named/k.json"), "utf8")).toContain("1");
    run("test", "-r", join(root, "named/k.json"));
  });
});
