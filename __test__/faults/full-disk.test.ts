/** A disk that is really full: a file system of eight megabytes. */

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { codeOf, mountable, newDisk, run } from "./bench.ts";

describe.skipIf(!mountable)("on a full disk", () => {
  let disk: string;
  let root: string;

  beforeEach(() => {
    disk = newDisk("8m");
    root = join(disk, "cache");
  });

  afterEach(() => run("umount", "-l", disk));

  /** Sets values until one is refused; how many were taken. */
  async function fill(cache: Cache, namespace: string, bytes: number): Promise<number> {
    const space = cache.namespace(namespace);
    for (let i = 0; i < 100_000; i++) {
      const code = await codeOf(space.set(`k${i}`, new Uint8Array(bytes).fill(i % 251)));
      if (code === "ERR_QUIVER_DISK_FULL") return i;
      expect(code).toBeUndefined();
    }
    throw new Error("the disk does not fill");
  }

  async function expectAll(
    cache: Cache,
    namespace: string,
    bytes: number,
    from: number,
    to: number,
  ): Promise<void> {
    const space = cache.namespace(namespace);
    for (let i = from; i < to; i++) {
      const value = (await space.get(`k${i}`)) as Uint8Array;
      expect(value.byteLength).toBe(bytes);
      expect(value.every((byte) => byte === i % 251)).toBe(true);
    }
  }

  test.for([
    ["large", 100_000],
    ["small", 3_000],
  ] as const)("%s values: sets are refused, reads go on, deleting makes room", async ([namespace, bytes]) => {
    const cache = await Cache.open(root);
    const space = cache.namespace(namespace);
    const count = await fill(cache, namespace, bytes);
    expect(count).toBeGreaterThan(20);
    expect(await space.get(`k${count}`)).toBeUndefined();
    // The first ones are not read: a file that is mapped keeps its blocks when it is deleted.
    await expectAll(cache, namespace, bytes, 10, count);

    for (let i = 0; i < 10; i++) expect(await space.delete(`k${i}`)).toBe(true);
    await space.set("after", new Uint8Array(bytes / 2).fill(7));
    expect(await space.get("after")).toEqual(new Uint8Array(bytes / 2).fill(7));

    await fill(cache, namespace, bytes);
    await space.clear();
    expect(await space.get("k20")).toBeUndefined();
    await cache.close();

    await using again = await Cache.open(root);
    expect(await again.namespace(namespace).get("k20")).toBeUndefined();
    await again.namespace(namespace).set("k20", new Uint8Array(bytes).fill(3));
    expect(await again.namespace(namespace).get("k20")).toEqual(new Uint8Array(bytes).fill(3));
  });

  test("closing and opening again on the full disk keeps what was acknowledged", async () => {
    {
      await using cache = await Cache.open(root, { namespaces: { named: { layout: "named" } } });
      await cache.namespace("named").set("kept", { value: 42 });
      await fill(cache, "large", 100_000);
      await fill(cache, "small", 1_000);
    }
    writeFill(disk);
    await using cache = await Cache.open(root);
    expect(await cache.namespace("named").get("kept")).toEqual({ value: 42 });
    expect(await codeOf(cache.namespace("large").set("more", new Uint8Array(200_000)))).toBe(
      "ERR_QUIVER_DISK_FULL",
    );
    rmSync(join(disk, "fill"), { force: true });
    for (let i = 0; i < 5; i++) expect(await cache.namespace("large").delete(`k${i}`)).toBe(true);
    await cache.namespace("large").set("more", new Uint8Array(20_000));
    expect(readdirSync(join(root, ".quiver/tmp"))).toEqual([]);
  });

  test("evicting on the full disk makes room", async () => {
    const filling = await Cache.open(root);
    const count = await fill(filling, "large", 100_000);
    // Room for the record of a smaller limit.
    await filling.namespace("large").delete("k0");
    await filling.close();
    await using cache = await Cache.open(root, { maxSize: "3MB", reconfigure: true });
    const { evicted } = await cache.evict();
    expect(evicted).toBeGreaterThan(count / 2);
    await cache.namespace("large").set("after", new Uint8Array(500_000).fill(9));
    expect(await cache.namespace("large").get("after")).toEqual(new Uint8Array(500_000).fill(9));
  });

  test("a computation's result is returned when it can't be stored", async () => {
    await using cache = await Cache.open(root);
    await fill(cache, "large", 100_000);
    writeFill(disk);
    const value = await cache
      .namespace("large")
      .getOrCompute("computed", () => new Uint8Array(300_000).fill(5));
    expect(value).toEqual(new Uint8Array(300_000).fill(5));
  });
});

/** Takes what is left of the disk. */
function writeFill(disk: string): void {
  for (let size = 4 << 20; size >= 4_096; size /= 2) {
    for (;;) {
      try {
        writeFileSync(join(disk, "fill"), new Uint8Array(size), { flag: "a" });
      } catch {
        break;
      }
    }
  }
}
