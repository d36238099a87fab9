/**
 * What callers do to their memory, and what runs of theirs in the middle of a call: neither changes what is stored or
 * read.
 */

import { describe, expect, test } from "vitest";
import { Cache, type Codec, Tensor } from "../../src/index.ts";
import { codeOf, newFolder } from "./bench.ts";

/** In the catalog, in one slice of a file, in several. */
const sizes = [100, 100_000, 9_000_000];

function filled(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => i % 251);
}

describe.each(sizes)("of %d bytes, while it is being stored,", (size) => {
  const harm: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>) => unknown>> = {
    overwritten: (bytes) => bytes.fill(0),
    "transferred away": (bytes) => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }),
  };
  test.each(Object.keys(harm))("a value that is %s is stored as it was at the call", async (how) => {
    await using cache = await Cache.open(newFolder(), { memoryLimit: 0, durability: "process" });
    const values = cache.namespace<Uint8Array>("n");
    const tensors = cache.namespace<Tensor>("tensors", { codec: "npy" });
    await values.set("k", "before" as never);
    const writes: Promise<unknown>[] = [];
    // The second of a kind waits for the first, and has to have been copied meanwhile.
    for (const key of ["a", "k", "k"]) {
      const bytes = filled(size);
      writes.push(values.set(key, bytes));
      harm[how]?.(bytes);
      const elements = filled(size);
      writes.push(tensors.set(key, new Tensor(elements)));
      harm[how]?.(elements);
    }
    await Promise.all(writes);
    for (const key of ["a", "k"]) {
      expect(Buffer.compare((await values.get(key)) as Uint8Array, filled(size))).toBe(0);
      const tensor = (await tensors.get(key)) as Tensor;
      await tensor.ready();
      expect(Buffer.compare(tensor.data as Uint8Array, filled(size))).toBe(0);
    }
  });

  test("one in memory that can shrink is refused, and nothing is stored", async () => {
    await using cache = await Cache.open(newFolder(), { memoryLimit: 0, durability: "process" });
    const values = cache.namespace<Uint8Array>("n");
    await values.set("k", filled(10));
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const buffer = new Resizable(size, { maxByteLength: size });
    expect(await codeOf(values.set("k", new Uint8Array(buffer)))).toBe("ERR_QUIVER_BAD_VALUE");
    expect(await values.get("k")).toEqual(filled(10));
  });
});

test("a value that is gone is refused, and its key can be set again", async () => {
  await using cache = await Cache.open(newFolder(), { memoryLimit: 0, durability: "process" });
  const values = cache.namespace<Uint8Array>("n");
  const gone = filled(10);
  await values.set("k", gone);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  expect(await codeOf(values.set("k", gone))).toBe("ERR_QUIVER_BAD_VALUE");
  expect(await codeOf(values.setMany([["k", gone]]))).toBe("ERR_QUIVER_BAD_VALUE");
  expect(await values.get("k")).toEqual(filled(10));
  for (const empty of [new Uint8Array(), filled(20)]) {
    await values.set("k", empty);
    expect(await values.get("k")).toEqual(empty);
  }
});

/** Reads other entries in the middle of everything it is asked, and its values are those that it was asked for. */
class Nosy implements Codec<string> {
  readonly name = "nosy";
  readonly extension = "nosy";
  readonly sharing = "shared";
  look: () => void = () => undefined;

  accepts(value: unknown): boolean {
    return typeof value === "string";
  }

  encode(value: string): { parts: Uint8Array[]; byteLength: number } {
    this.look();
    const bytes = new TextEncoder().encode(value);
    return { parts: [bytes], byteLength: bytes.byteLength };
  }

  decode(bytes: Uint8Array): string {
    this.look();
    return new TextDecoder().decode(bytes);
  }
}

test("a codec that reads other entries while it reads and writes one confuses neither", async () => {
  const codec = new Nosy();
  await using cache = await Cache.open(newFolder(), {
    memoryLimit: 0,
    durability: "process",
    codecs: [codec as Codec],
  });
  const others = cache.namespace<Uint8Array>("others");
  await others.set("small", filled(300));
  await others.set("large", filled(200_000));
  const values = cache.namespace<string>("values", { codec: "nosy" });
  const lengths = [0, 5, 4_000, 70_000, 200_000];
  let looks = 0;
  codec.look = () => {
    looks++;
    expect(others.getSync("small")).toEqual(filled(300));
    expect(others.getSync("large")?.byteLength).toBe(200_000);
    expect(others.getSync("none")).toBeUndefined();
  };
  for (const length of lengths) await values.set(`k${length}`, "x".repeat(length));
  for (const length of lengths) {
    expect(await values.get(`k${length}`)).toBe("x".repeat(length));
    expect(values.getSync(`k${length}`)).toBe("x".repeat(length));
  }
  expect(looks).toBe(lengths.length * 3);
});
