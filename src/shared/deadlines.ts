/**
 * Limits of time on many short calls, kept by one timer: to make one for each call and to clear it takes longer than
 * most of the calls.
 */

interface Call {
  readonly end: number;
  readonly expire: () => void;
}

/** Longest that a timer can be set to, ms. */
const LONGEST = 0x7fff_ffff;
/** A timer that is overdue by more, ms, will never fire: it was made while a test had timers of its own. */
const OVERDUE = 1000;

/**
 * Calls that are under way, in places that are used again: a set that comes and goes this fast is made anew every few
 * calls, and each old one that has grown old keeps what the next one held.
 */
const calls: (Call | undefined)[] = [];
const free: number[] = [];
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
    const call: Call = {
      end: performance.now() + milliseconds,
      expire: () => {
        reject(late());
        if (tooLate) work.then(tooLate, () => undefined);
      },
    };
    const place = begin(call);
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

function begin(call: Call): number {
  const isFirst = free.length === calls.length;
  const place = free.pop() ?? calls.length;
  calls[place] = call;
  if (timer === undefined || call.end < firesAt || firesAt + OVERDUE < performance.now()) arm();
  else if (isFirst) timer.ref();
  return place;
}

function end(place: number, call: Call): void {
  // One that has expired has left its place.
  if (calls[place] !== call) return;
  leave(place);
  // The process need not stay for a timer that nobody waits for.
  if (free.length === calls.length) timer?.unref();
}

function leave(place: number): void {
  calls[place] = undefined;
  free.push(place);
}

/** Sets the timer to the first end, if there is one. */
function arm(): void {
  clearTimeout(timer);
  timer = undefined;
  const first = calls.reduce((least, call) => Math.min(least, call?.end ?? least), Number.POSITIVE_INFINITY);
  if (first === Number.POSITIVE_INFINITY) return;
  const now = performance.now();
  firesAt = Math.min(first, now + LONGEST);
  timer = setTimeout(fire, Math.ceil(firesAt - now));
}

function fire(): void {
  const now = Math.max(firesAt, performance.now());
  calls.forEach((call, place) => {
    if (call === undefined || call.end > now) return;
    leave(place);
    call.expire();
  });
  arm();
}
