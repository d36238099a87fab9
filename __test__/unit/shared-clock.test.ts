import { setImmediate as turn } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { coarseNow, isExpired, now, setClockForTests } from "../../src/shared/clock.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("coarseNow reads the clock once in 32 calls", async () => {
  await turn();
  const clock = vi.spyOn(Date, "now").mockReturnValue(1000);
  expect(coarseNow()).toBe(1000);
  clock.mockReturnValue(2000);
  for (let call = 0; call < 31; call++) expect(coarseNow()).toBe(1000);
  expect(coarseNow()).toBe(2000);
});

test("coarseNow reads the clock anew in each turn of the event loop", async () => {
  await turn();
  const clock = vi.spyOn(Date, "now").mockReturnValue(1000);
  expect(coarseNow()).toBe(1000);
  clock.mockReturnValue(2000);
  await Promise.resolve();
  expect(coarseNow()).toBe(1000);
  await turn();
  expect(coarseNow()).toBe(2000);
});

test("the test clock is exact in both, until it is put back", () => {
  let time = 5;
  coarseNow();
  const restore = setClockForTests(() => time);
  expect([now(), coarseNow()]).toEqual([5, 5]);
  time = 6;
  expect([now(), coarseNow()]).toEqual([6, 6]);
  restore();
  expect(now()).toBeGreaterThan(1e12);
  expect(coarseNow()).toBeGreaterThan(1e12);
});

test.each([
  [null, 1e15, false],
  [2000, 1999, false],
  [2000, 2000, true],
  [100_000, -59_000, false],
  [100_000, -59_001, true],
  [null, -1e12, false],
])("created at 1000 and expiring at %j, it is expired at %j: %j", (expiresAt, time, expired) => {
  expect(isExpired(1000, expiresAt, time)).toBe(expired);
});
