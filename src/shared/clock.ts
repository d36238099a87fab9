/** The one clock. Times are wall-clock milliseconds since 1970, because processes and restarts share them. */

const CALLS_PER_READING = 32;

let testClock: (() => number) | undefined;
let reading = 0;
let callsLeft = 0;
let refreshScheduled = false;

/** The time now. */
export function now(): number {
  return testClock === undefined ? Date.now() : testClock();
}

/**
 * The time now or a little earlier, for paths where a system call would show: read anew every 32 calls and in
 * each turn of the event loop.
 */
export function coarseNow(): number {
  if (callsLeft === 0) {
    if (testClock !== undefined) return testClock();
    reading = Date.now();
    callsLeft = CALLS_PER_READING;
    if (!refreshScheduled) {
      refreshScheduled = true;
      // Not unref'd: the loop would sleep on it, and wake with a reading as old as its sleep. It runs at the end
      // of this turn and so does not keep the process alive.
      setImmediate(forgetReading);
    }
  }
  callsLeft--;
  return reading;
}

function forgetReading(): void {
  refreshScheduled = false;
  callsLeft = 0;
}

/** Replaces the clock for a test, `coarseNow` becoming exact; returns the way back to the real one. */
export function setClockForTests(clock: () => number): () => void {
  testClock = clock;
  callsLeft = 0;
  return () => {
    testClock = undefined;
  };
}

/** The time at which a test has stopped the clock; undefined while it goes. */
export function stoppedClock(): number | undefined {
  return testClock?.();
}

/** How far clocks of hosts that share entries may disagree, in milliseconds. */
export const CLOCK_TOLERANCE = 60_000;

/**
 * Whether an entry is no longer to be served: its time has come, or it was created so far in the future that
 * the clock must have been set back and nothing is known about its age. Without an expiry (null) it never is.
 */
export function isExpired(createdAt: number, expiresAt: number | null, time: number): boolean {
  return expiresAt !== null && (time >= expiresAt || time < createdAt - CLOCK_TOLERANCE);
}
