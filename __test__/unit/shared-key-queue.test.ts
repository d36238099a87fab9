import { describe, expect, test } from "vitest";
import { KeyQueue } from "../../src/shared/key-queue.ts";

describe("a held key", () => {
  test("is busy until it is released", () => {
    const queue = new KeyQueue();
    const release = queue.hold("k");
    expect(queue.isIdle("k")).toBe(false);
    expect(queue.isIdle("other")).toBe(true);
    release();
    expect(queue.isIdle("k")).toBe(true);
  });

  test("makes what is called after it wait, and keeps its order", async () => {
    const queue = new KeyQueue();
    const seen: string[] = [];
    const note = (what: string) => async () => {
      seen.push(what);
    };
    const release = queue.hold("k");
    const after = [
      queue.read("k", note("read")),
      queue.read("k", note("another read")),
      queue.write("k", note("write")),
      queue.read("k", note("last")),
    ];
    await queue.write("other", note("other"));
    expect(seen).toEqual(["other"]);
    release();
    await Promise.all(after);
    expect(seen).toEqual(["other", "read", "another read", "write", "last"]);
    await new Promise(setImmediate);
    expect(queue.isIdle("k")).toBe(true);
  });
});

describe("keys that are held together", () => {
  test("are busy until all of them end, and what came after each keeps its order", async () => {
    const queue = new KeyQueue();
    const seen: string[] = [];
    const note = (what: string) => async () => {
      seen.push(what);
    };
    const hold = queue.holdAll();
    for (const key of ["a", "b", "c"]) hold.add(key);
    expect(["a", "b", "c", "d"].map((key) => queue.isIdle(key))).toEqual([false, false, false, true]);
    const after = [
      queue.write("b", note("write b")),
      queue.read("b", note("read b")),
      queue.read("a", note("read a")),
    ];
    await queue.write("d", note("d"));
    expect(seen).toEqual(["d"]);
    hold.end();
    expect(queue.isIdle("c")).toBe(true);
    expect(queue.isIdle("b")).toBe(false);
    await Promise.all(after);
    expect(seen.filter((what) => what.endsWith("b"))).toEqual(["write b", "read b"]);
    expect(seen).toContain("read a");
    await new Promise(setImmediate);
    expect(["a", "b", "c"].every((key) => queue.isIdle(key))).toBe(true);
  });

  test("can be held again once they have ended, while others are", async () => {
    const queue = new KeyQueue();
    const first = queue.holdAll();
    first.add("a");
    first.end();
    const second = queue.holdAll();
    second.add("a");
    const third = queue.holdAll();
    third.add("b");
    third.end();
    expect([queue.isIdle("a"), queue.isIdle("b")]).toEqual([false, true]);
    second.end();
    expect(queue.isIdle("a")).toBe(true);
  });
});
