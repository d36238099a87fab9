import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Walk } from "../../src/cache/walk.ts";
import type { Page } from "../../src/stores/store.ts";

/** A listing of numbers in pages of these lengths, and which pages were asked for. Each takes a turn of the event loop. */
function listing(lengths: readonly number[], failsAt = -1) {
  const asked: number[] = [];
  let start = 0;
  const pages = lengths.map((length, index): Page<number> => {
    const entries = Array.from({ length }, (_, at) => start + at);
    start += length;
    return { entries, next: index < lengths.length - 1 ? `${index + 1}` : undefined };
  });
  const walk = new Walk(async (after) => {
    const index = Number(after ?? 0);
    asked.push(index);
    await setImmediate();
    if (index === failsAt) throw new Error("the store failed");
    return pages[index] as Page<number>;
  });
  return { walk, asked, all: Array.from({ length: start }, (_, at) => at) };
}

test("whoever asks in whatever order gets everything once, in order", async () => {
  const lengths = fc.array(fc.nat(5), { minLength: 1, maxLength: 6 });
  // How many calls are made before one waits for them.
  const bursts = fc.infiniteStream(fc.integer({ min: 1, max: 7 }));
  await fc.assert(
    fc.asyncProperty(lengths, bursts, async (pages, sizes) => {
      const { walk, asked, all } = listing(pages);
      const got: (number | undefined)[] = [];
      while (got.length <= all.length) {
        const { value: size } = sizes.next();
        const burst = Array.from({ length: size ?? 1 }, () => walk.next());
        for (const { value, done } of await Promise.all(burst)) got.push(done ? undefined : value);
      }
      expect(got.slice(0, all.length)).toEqual(all);
      expect(got.slice(all.length).every((value) => value === undefined)).toBe(true);
      expect(asked).toEqual(pages.map((_, index) => index));
    }),
  );
});

test("calls that begin while others wait for a page don't overtake them", async () => {
  const { walk } = listing([1, 3]);
  await walk.next();
  const order: unknown[] = [];
  const note = async (name: string): Promise<void> => {
    const { value } = await walk.next();
    order.push([name, value]);
  };
  const first = note("first").then(() => note("third"));
  await Promise.all([first, note("second")]);
  expect(order).toEqual([
    ["first", 1],
    ["second", 2],
    ["third", 3],
  ]);
});

test("a page is asked for when half of the one before it is handed out", async () => {
  const { walk, asked } = listing([4, 4, 4]);
  expect(asked).toEqual([]);
  await walk.next();
  await walk.next();
  expect(asked).toEqual([0]);
  await walk.next();
  expect(asked).toEqual([0, 1]);
  for (let turn = 0; turn < 5; turn++) await walk.next();
  expect(asked).toEqual([0, 1, 2]);
});

test("who stops gets nothing more, also from a page that was on its way", async () => {
  const { walk, asked } = listing([2, 2]);
  for await (const entry of walk) if (entry === 0) break;
  expect(await walk.next()).toEqual({ value: undefined, done: true });
  expect(asked).toEqual([0]);
  const { walk: second } = listing([2]);
  const waiting = second.next();
  await second.return();
  expect(await waiting).toEqual({ value: undefined, done: true });
});

test.each([0, 1, 2])(
  "a failure of page %i is told when the page is due, and ends the walk",
  async (failsAt) => {
    const { walk } = listing([2, 2, 2], failsAt);
    for (let turn = 0; turn < failsAt * 2; turn++) {
      expect(await walk.next()).toEqual({ value: turn, done: false });
      // A page that was asked for ahead fails before anybody waits for it.
      await setImmediate();
      await setImmediate();
    }
    await expect(walk.next()).rejects.toThrow("the store failed");
    expect(await walk.next()).toEqual({ value: undefined, done: true });
  },
);
