import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { mapBounded } from "../../src/cache/bounded.ts";

test("no more than allowed at a time, and results in the order of the items", async () => {
  const sizes = fc.array(fc.nat({ max: 3 }), { maxLength: 80 });
  const bounds = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.nat({ max: 16 }));
  await fc.assert(
    fc.asyncProperty(sizes, bounds, fc.nat({ max: 100 }), async (all, [few, more], failing) => {
      let underWay = 0;
      let highest = 0;
      let begun = 0;
      const act = async (size: number): Promise<number> => {
        const own = begun++;
        highest = Math.max(highest, ++underWay);
        for (let left = size + 1; left > 0; left--) await turn();
        underWay--;
        if (own === failing) throw new Error("refused");
        return size;
      };
      const mapped = mapBounded(all, few, act, { most: few + more, when: (size) => size < 2 });
      if (failing < all.length) await expect(mapped).rejects.toThrow("refused");
      else expect(await mapped).toEqual(all);
      expect(underWay).toBe(0);
      expect(highest).toBeLessThanOrEqual(few + more);
      if (failing >= all.length) expect(begun).toBe(all.length);
      if (all.every((size) => size >= 2)) expect(highest).toBeLessThanOrEqual(few);
    }),
    { numRuns: 60 },
  );
});

test("it widens while results are small, and narrows again when they are not", async () => {
  const seen: number[] = [];
  let underWay = 0;
  const act = async (large: boolean): Promise<boolean> => {
    underWay++;
    await turn();
    seen.push(underWay--);
    return large;
  };
  const items = Array.from({ length: 400 }, (_, index) => index >= 200);
  await mapBounded(items, 4, act, { most: 64, when: (large) => !large });
  expect(Math.max(...seen.slice(0, 200))).toBe(64);
  expect(Math.max(...seen.slice(-50))).toBe(4);
});
