/**
 * Limits of time on many short calls, kept by one timer: to make one for each call and to clear it takes longer than
 * most of the calls.
 */

interface Waiting {
  readonly end: number;
  readonly expire: () => void;
}

/** Longest that a timer can be set to, ms. */
const LONGEST = 0x7fff_ffff;

const waiting = new Set<Waiting>();
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
    const call: Waiting = {
      end: performance.now() + milliseconds,
      expire: () => {
        reject(late());
        if (tooLate) work.then(tooLate, () => undefined);
      },
    };
    begin(call);
    work.then(
      (result) => {
        end(call);
        resolve(result);
      },
      (error) => {
        end(call);
        reject(error);
      },
    );
  });
}

function begin(call: Waiting): void {
  waiting.add(call);
  if (timer === undefined || call.end < firesAt) arm(call.end);
  else if (waiting.size === 1) timer.ref();
}

/** The process need not stay for a timer that nobody waits for. */
function end(call: Waiting): void {
  if (waiting.delete(call) && waiting.size === 0) timer?.unref();
}

function arm(at: number): void {
  clearTimeout(timer);
  firesAt = at;
  timer = setTimeout(fire, Math.min(LONGEST, Math.ceil(at - performance.now())));
}

function fire(): void {
  timer = undefined;
  const now = performance.now();
  let next = Number.POSITIVE_INFINITY;
  for (const call of waiting) {
    if (call.end > now) {
      next = Math.min(next, call.end);
    } else {
      waiting.delete(call);
      call.expire();
    }
  }
  if (next !== Number.POSITIVE_INFINITY) arm(next);
}
