import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { inTime } from "../../src/shared/deadlines.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<string>(() => undefined);
const late = (): Error => new Error("late");

/** What becomes of a call, as soon as something does. */
function watched(call: Promise<string>): { outcome: string } {
  const watch = { outcome: "waits" };
  call.then(
    (result) => {
      watch.outcome = result;
    },
    (error: Error) => {
      watch.outcome = error.message;
    },
  );
  return watch;
}

test("each call has its own limit, whichever came first", async () => {
  const calls = [50, 20, 3_000_000_000, 20].map((limit) => watched(inTime(never, limit, late)));
  const after = async (milliseconds: number): Promise<string[]> => {
    await vi.advanceTimersByTimeAsync(milliseconds);
    return calls.map(({ outcome }) => outcome);
  };
  expect(await after(19)).toEqual(["waits", "waits", "waits", "waits"]);
  expect(await after(2)).toEqual(["waits", "late", "waits", "late"]);
  expect(await after(30)).toEqual(["late", "late", "waits", "late"]);
  expect(await after(2_999_999_900)).toEqual(["late", "late", "waits", "late"]);
  expect(await after(100)).toEqual(["late", "late", "late", "late"]);
  expect(vi.getTimerCount()).toBe(0);
});

test("what comes in time is handed on, also an error; what comes later goes to whom it concerns", async () => {
  const results: string[] = [];
  let finish = (_: string): void => undefined;
  const slow = new Promise<string>((resolve) => {
    finish = resolve;
  });
  expect(await inTime(Promise.resolve("done"), 10, late)).toBe("done");
  await expect(inTime(Promise.reject(new Error("broken")), 10, late)).rejects.toThrow("broken");
  const given = watched(inTime(slow, 10, late, (result) => void results.push(result)));
  await vi.advanceTimersByTimeAsync(20);
  expect(given.outcome).toBe("late");
  finish("too late");
  await vi.advanceTimersByTimeAsync(0);
  expect(results).toEqual(["too late"]);
});

test("any number of calls takes one timer, and a call after the last has ended is limited too", async () => {
  const calls = Array.from({ length: 100 }, () => inTime(Promise.resolve("done"), 10, late));
  expect(vi.getTimerCount()).toBe(1);
  await Promise.all(calls);
  await vi.advanceTimersByTimeAsync(5);
  const next = watched(inTime(never, 10, late));
  await vi.advanceTimersByTimeAsync(9);
  expect(next.outcome).toBe("waits");
  await vi.advanceTimersByTimeAsync(2);
  expect(next.outcome).toBe("late");
});

test("a timer that went away with the clock of a test is not relied on", async () => {
  await inTime(Promise.resolve("done"), 10, late);
  vi.useRealTimers();
  // However the clock of the test stood to that of the machine.
  const limit = 10;
  await pause(1_100);
  await expect(inTime(never, limit, late)).rejects.toThrow("late");
});

test("a process stays for a call that is limited, and not for one that has ended", async () => {
  vi.useRealTimers();
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  let finish = (_: string): void => undefined;
  const slow = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const first = inTime(slow, 60_000, late);
  const second = inTime(slow, 60_000, late);
  expect(timers()).toBe(before + 1);
  finish("done");
  await Promise.all([first, second]);
  expect(timers()).toBe(before);
  const third = watched(inTime(never, 50, late));
  expect(timers()).toBe(before + 1);
  await vi.waitFor(() => expect(third.outcome).toBe("late"));
  expect(timers()).toBe(before);
});
