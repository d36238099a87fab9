import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../src/shared/histogram.ts";

/** One bucket is a quarter of a doubling wide. */
const WIDTH = 2 ** 0.25 + 1e-9;

const durations = fc.array(fc.double({ min: 0.01, max: 1e8, noNaN: true }), { minLength: 1, maxLength: 300 });

test("quantiles are those of the sorted durations, up to one bucket", () => {
  fc.assert(
    fc.property(durations, fc.constantFrom(0.5, 0.9, 0.99, 1), (values, q) => {
      const histogram = new Histogram();
      for (const value of values) histogram.record(value);
      const sorted = values.toSorted((left, right) => left - right);
      const exact = sorted[Math.ceil(q * values.length) - 1] ?? Number.NaN;
      const found = histogram.quantile(q);
      expect(found).toBeGreaterThanOrEqual(Math.min(exact, histogram.summary().max) * (1 - 1e-9));
      expect(found).toBeLessThanOrEqual(Math.max(1, exact * WIDTH));
    }),
  );
});

test("count, mean and maximum are exact", () => {
  const histogram = new Histogram();
  for (const value of [3, 5, 10]) histogram.record(value);
  expect(histogram.summary()).toMatchObject({ count: 3, mean: 6, max: 10 });
});

test("what lasts longer than the last bucket counts with its own length", () => {
  const histogram = new Histogram();
  histogram.record(1e12);
  expect(histogram.quantile(0.5)).toBe(1e12);
});

test("nothing counted is nothing but zeros", () => {
  expect(new Histogram().summary()).toEqual({ count: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 });
});
