/** A value in a file that another process replaces between the look-up and the opening of the file. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { addon } from "../../src/native/addon.ts";
import { LocalStore } from "../../src/stores/local.ts";
import { tree } from "../faults/bench.ts";

const FACTS = { codec: "bin", extension: "dat", expiresAt: null };
const sizes = { small: 1_000, mapped: 100_000, "in parts": 5_000_000 };
const encoded = (size: number, byte: number) => ({
  parts: [Buffer.alloc(size, byte)],
  byteLength: size,
});

/** Runs `act` once, when the next file is about to be opened. */
function beforeTheNextFile(act: () => void): void {
  const { prototype } = addon.NativeStore;
  const { take } = prototype;
  const restore = (): void => {
    prototype.take = take;
  };
  onTestFinished(restore);
  prototype.take = function (...operands) {
    restore();
    act();
    return take.apply(this, operands);
  };
}

test.for(Object.entries(sizes))("%s: the newer one is found, a deleted one is not", async ([, size]) => {
  const root = mkdtempSync(join(tmpdir(), "quiver-replaced-"));
  const stores = await Promise.all([1, 2].map(() => LocalStore.open(root, { durability: "process" })));
  onTestFinished(async () => {
    for (const store of stores) await store.close();
    rmSync(root, { recursive: true });
  });
  const [ours, theirs] = await Promise.all(
    stores.map((store) => store.open("n", { layout: "hashed", files: "always" })),
  );
  if (ours === undefined || theirs === undefined) throw new Error("no namespaces");
  const objects = join(root, ".quiver/objects");
  const paths = (): string[] => tree(objects).map((path) => join(objects, path));
  const gone = (path: string): void => {
    const start = Date.now();
    while (existsSync(path) && Date.now() - start < 10_000)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    expect(existsSync(path)).toBe(false);
  };
  const reads = [
    () => ours.get("k"),
    () => ours.getSync?.("k"),
    () => ours.getAtOnce?.("k"),
    () => ours.get("k", { stale: true }),
  ];
  for (const [turn, read] of reads.entries()) {
    await theirs.set("k", encoded(size, turn), FACTS);
    const [path] = paths();
    beforeTheNextFile(() => {
      theirs.setSync?.("k", encoded(size, turn + 100), FACTS);
      gone(path as string);
    });
    const found = await read();
    expect(found?.bytes.byteLength).toBe(size);
    expect(found?.bytes[size - 1]).toBe(turn + 100);
  }
  await theirs.set("k", encoded(size, 50), FACTS);
  const [path] = paths();
  beforeTheNextFile(() => rmSync(path as string));
  expect(await ours.get("k")).toBeUndefined();
});
