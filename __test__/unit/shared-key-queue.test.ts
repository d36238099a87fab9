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
