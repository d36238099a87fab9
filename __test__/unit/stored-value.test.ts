import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Router } from "../../src/routing/router.ts";
import { LocalStore } from "../../src/stores/local.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { unplaced } from "../../src/stores/stored-value.ts";

const MIB = 1024 * 1024;
const NOWHERE = 0xffff_ffff;

test("a large mapped value from a store that is not the last one has its bytes, whole and in parts", async () => {
  const root = mkdtempSync(join(tmpdir(), "quiver-stored-value-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const large = await LocalStore.open(root, { durability: "process" });
  const router = new Router([{ minBytes: 4 * MIB, store: large }], new MemoryStore());
  onTestFinished(() => router.close());
  const namespace = await router.open("n", {});
  const bytes = Uint8Array.from({ length: 5 * MIB }, (_, at) => (at * 7 + (at >> 12)) & 255);
  await namespace.set(
    "k",
    { parts: [bytes], byteLength: bytes.byteLength },
    { codec: "bin", extension: "dat", expiresAt: null },
  );

  const found = await namespace.get("k");
  expect(found).toMatchObject({ codec: "bin", expiresAt: null, mapped: true, slot: NOWHERE, stamp: 0 });
  expect(found?.parts?.part(3 * MIB, 3 * MIB + 9)).toEqual(bytes.subarray(3 * MIB, 3 * MIB + 9));
  await found?.ready?.(0, bytes.byteLength);
  found?.verify?.(0, bytes.byteLength);
  expect(Buffer.compare(found?.bytes ?? Buffer.alloc(0), bytes)).toBe(0);
});

test("without a place a value in parts is not asked for as a whole", () => {
  const asked: string[] = [];
  const parts = {
    byteLength: 3,
    get all() {
      asked.push("all");
      return Uint8Array.of(1, 2, 3);
    },
    part: (start: number, end: number) => Uint8Array.of(1, 2, 3).subarray(start, end),
  };
  const value = { codec: "npy", createdAt: 5, expiresAt: 9, mapped: true, slot: 7, stamp: 8 };
  const found = {
    ...value,
    parts,
    get bytes() {
      return parts.all;
    },
  };
  const once = unplaced(unplaced(found));
  expect(asked).toEqual([]);
  expect(once).toMatchObject({ ...value, slot: NOWHERE, stamp: 0 });
  expect(once.bytes).toEqual(Uint8Array.of(1, 2, 3));
});
