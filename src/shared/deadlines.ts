/**
 * Limits of time on many short calls, kept by one timer: to make one for each call and to clear it takes longer than
 * most of the calls.
 */

import { Places } from "./places.ts";

interface Call {
  readonly end: number;
  readonly expire: () => void;
}

/** Longest that a timer can be set to, ms. */
const LONGEST = 0x7fff_ffff;
/** A timer that is overdue by more, ms, will never fire: it was made while a test had timers of its own. */
const OVERDUE = 1000;

const calls = new Places<Call>();
let timer: NodeJS.Timeout | undefined;
/** When the timer fires; it may find that nobody waits any more. */
let firesAt = 0;

/** What the work comes to, or the error of `late` after so many milliseconds; null = however long it takes. */
export function inTime<R>(
  work: Promise<R>,
  milliseconds: number | null,
  late: () => Error,
  tooLate?: (result: R) => void,
): Promise<R> {
  if (milliseconds === null) return work;
  return new Promise((resolve, reject) => {
    const now = performance.now();
    const call: Call = {
      end: now + milliseconds,
      expire: () => {
        reject(late());
        // Nobody is left to be told of what fails.
        if (tooLate) work.then(tooLate).catch(() => undefined);
      },
    };
    const place = begin(call, now);
    work.then(
      (result) => {
        end(place, call);
        resolve(result);
      },
      (error) => {
        end(place, call);
        reject(error);
      },
    );
  });
}

function begin(call: Call, now: number): number {
  const isFirst = calls.isEmpty;
  const place = calls.add(call);
  if (timer === undefined || call.end < firesAt || firesAt + OVERDUE < now) arm();
  else if (isFirst) timer.ref();
  return place;
}

function end(place: number, call: Call): void {
  // One that has expired has left its place.
  if (calls.at(place) !== call) return;
  calls.take(place);
  // The process need not stay for a timer that nobody waits for.
  if (calls.isEmpty) timer?.unref();
}

/** Sets the timer to the first end, if there is one. */
function arm(): void {
  clearTimeout(timer);
  timer = undefined;
  let first = Number.POSITIVE_INFINITY;
  calls.forEach(({ end }) => {
    first = Math.min(first, end);
  });
  if (first === Number.POSITIVE_INFINITY) return;
  const now = performance.now();
  firesAt = Math.min(first, now + LONGEST);
  timer = setTimeout(fire, Math.ceil(firesAt - now));
}

function fire(): void {
  const now = Math.max(firesAt, performance.now());
  calls.forEach((call, place) => {
    if (call.end > now) return;
    calls.take(place);
    call.expire();
  });
  arm();
}
