import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { type PackedPut, PutChunk } from "../../src/native/put-chunk.ts";
import { openNative, Requests } from "../../src/native/store.ts";
import { MAX_KEY_BYTES } from "../../src/shared/keys.ts";

const SETTINGS = { durability: "process", maxSize: null, maxEntries: null, eviction: null } as const;
const MANNER = JSON.stringify({ codec: "bin", extension: "bin", expiresAt: null, priority: 3 });

/** A store of the add-on with one namespace and one manner. */
async function opened() {
  const folder = mkdtempSync(join(tmpdir(), "quiver-put-chunk-"));
  const native = await openNative(folder, {
    settings: SETTINGS,
    reconfigure: false,
    readOnly: false,
    modes: "private",
    mappings: 16,
    copies: 1 << 20,
  });
  onTestFinished(async () => {
    await native.close();
    rmSync(folder, { recursive: true });
  });
  await native.openNamespace("n", "{}", false);
  const put = (key: string, bytes: Uint8Array, expiresAt: number | null = null): PackedPut => ({
    handle: native.handle("n"),
    key,
    manner: native.manner(MANNER),
    expiresAt,
    bytes,
  });
  const infoOf = async (key: string) => JSON.parse((await native.info(native.handle("n"), key)) ?? "null");
  return { native, put, infoOf };
}

const same = { read: (answer: unknown): unknown => answer, ended: () => undefined };

test("what waits in a chunk arrives whole, in the order of the calls, also between other requests", async () => {
  const { native, put, infoOf } = await opened();
  const requests = new Requests(native);
  const handle = native.handle("n");
  const key = fc.oneof(
    fc.constantFrom("a", "b", "ü€\u{1F600}", "x".repeat(48), "x".repeat(49), "y".repeat(MAX_KEY_BYTES)),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).filter((text) => !text.includes("\0")),
  );
  const step = fc.record({
    key,
    size: fc.constantFrom(0, 1, 7, 8, 9, 100, 16 * 1024),
    expires: fc.constantFrom(null, 8_000_000_000_000),
    deletes: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 150 }), async (steps) => {
      await requests.send((id) => native.clear(id, handle));
      const model = new Map<string, { size: number; expiresAt: number | null }>();
      const answers = steps.map(({ key: name, size, expires, deletes }) => {
        if (deletes && model.has(name)) {
          model.delete(name);
          return requests.send((id) => native.delete(id, handle, name));
        }
        model.set(name, { size, expiresAt: expires });
        return requests.put(put(name, new Uint8Array(size).fill(size), expires), same);
      });
      await Promise.all(answers);
      for (const { key: name } of steps) {
        const found = await infoOf(name);
        expect(found && { size: found.size, expiresAt: found.expiresAt }).toEqual(model.get(name) ?? null);
        expect(found?.priority ?? 3).toBe(3);
      }
    }),
    { numRuns: 25 },
  );
});

test("a chunk takes as much as it has room for, and is empty when it was taken", () => {
  const chunk = new PutChunk();
  const put = { handle: 0, key: "k", manner: 0, expiresAt: null, bytes: new Uint8Array(16 * 1024) };
  for (let round = 0; round < 2; round++) {
    let count = 0;
    while (chunk.add(put)) count++;
    expect(count).toBeGreaterThanOrEqual(64);
    const bytes = chunk.take();
    expect(bytes.byteLength).toBeGreaterThan(count * put.bytes.byteLength);
    expect(chunk.isEmpty).toBe(true);
  }
});

test("the add-on takes all of a chunk or nothing", async () => {
  const { native, put, infoOf } = await opened();
  const requests = new Requests(native);
  const chunk = new PutChunk();
  chunk.add(put("first", Uint8Array.of(1, 2, 3)));
  chunk.add(put("second", Uint8Array.of(4, 5, 6, 7, 8)));
  const whole = chunk.take().slice();
  const first = 32 + "first".length + 3;
  const both = first + 32 + "second".length + 5;
  for (let length = 1; length < both; length++) {
    if (length === first) continue;
    expect(() => native.putMany(0, whole.subarray(0, length))).toThrow("within an entry");
  }
  for (const wrong of [{ handle: 7 }, { manner: 7 }]) {
    const good = requests.put(put("first", Uint8Array.of(1)), same);
    const bad = requests.put({ ...put("second", Uint8Array.of(1)), ...wrong }, same);
    await expect(good).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
    await expect(bad).rejects.toMatchObject({ code: "ERR_QUIVER_BAD_VALUE" });
  }
  expect([await infoOf("first"), await infoOf("second")]).toEqual([null, null]);
  await requests.put(put("first", Uint8Array.of(1)), same);
  expect(await infoOf("first")).toMatchObject({ key: "first", size: 1 });
});
