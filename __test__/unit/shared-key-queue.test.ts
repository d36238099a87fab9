import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeyQueue } from "../../src/shared/key-queue.ts";

describe("a held key", () => {
  test("is busy until it is released", () => {
    const queue = new KeyQueue();
    const hold = queue.hold();
    hold.add("k");
    expect(queue.isIdle("k")).toBe(false);
    expect(queue.isIdle("other")).toBe(true);
    hold.end();
    expect(queue.isIdle("k")).toBe(true);
  });

  test("makes what is called after it wait, and keeps its order", async () => {
    const queue = new KeyQueue();
    const seen: string[] = [];
    const note = (what: string) => async () => {
      seen.push(what);
    };
    const hold = queue.hold();
    hold.add("k");
    const after = [
      queue.read("k", note("read")),
      queue.read("k", note("another read")),
      queue.write("k", note("write")),
      queue.read("k", note("last")),
    ];
    await queue.write("other", note("other"));
    expect(seen).toEqual(["other"]);
    hold.end();
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
    const hold = queue.hold();
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
    hold.end();
    expect(["a", "b", "c"].map((key) => queue.isIdle(key))).toEqual([false, false, false]);
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
    const first = queue.hold();
    first.add("a");
    first.end();
    const second = queue.hold();
    second.add("a");
    const third = queue.hold();
    third.add("b");
    third.end();
    expect([queue.isIdle("a"), queue.isIdle("b")]).toEqual([false, true]);
    second.end();
    expect(queue.isIdle("a")).toBe(true);
    first.add("c");
    expect(queue.isIdle("c")).toBe(false);
    first.end();
    expect(queue.isIdle("c")).toBe(true);
  });
});

test("operations on a few keys, held or not, run in the order of their calls and leave nothing behind", async () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c"),
    kind: fc.constantFrom("read", "write", "hold", "hold anew", "end"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const queue = new KeyQueue();
      const called: { index: number; key: string; isRead: boolean }[] = [];
      const seen: string[] = [];
      const running: Promise<void>[] = [];
      let held: number[] = [];
      let hold = queue.hold();
      const endAll = (): void => {
        seen.push(...held.map((index) => `end ${index}`));
        for (const _ of held) hold.end();
        held = [];
      };
      for (const [index, { key, kind }] of steps.entries()) {
        if (kind === "end" || kind === "hold anew") {
          endAll();
          if (kind === "hold anew") hold = queue.hold();
          else await new Promise(setImmediate);
        } else if (kind === "hold") {
          if (!queue.isIdle(key)) continue;
          called.push({ index, key, isRead: false });
          seen.push(`begin ${index}`);
          hold.add(key);
          held.push(index);
        } else {
          called.push({ index, key, isRead: kind === "read" });
          const operation = async (): Promise<void> => {
            seen.push(`begin ${index}`);
            await undefined;
            seen.push(`end ${index}`);
          };
          running.push(queue[kind](key, operation));
        }
      }
      endAll();
      await Promise.all(running);
      for (const [at, later] of called.entries()) {
        for (const earlier of called.slice(0, at)) {
          if (earlier.key !== later.key || (earlier.isRead && later.isRead)) continue;
          expect(seen.indexOf(`end ${earlier.index}`)).toBeLessThan(seen.indexOf(`begin ${later.index}`));
        }
      }
      expect(seen.length).toBe(2 * called.length);
      await new Promise(setImmediate);
      expect(["a", "b", "c"].every((key) => queue.isIdle(key))).toBe(true);
    }),
  );
});
