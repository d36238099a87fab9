/**
 * Histories: what several processes did to shared keys, with the times of one monotonic clock, and whether it could
 * have happened in a cache where what has been replaced is never read again.
 */

import { readFileSync } from "node:fs";

/** Keys whose entries may expire; absence there tells nothing. */
export const EXPIRING = "x";

interface Timed {
  /** Before the call, in nanoseconds of the clock that the processes share. */
  readonly start: number;
  /** After it. */
  readonly end: number;
}

interface OfKey extends Timed {
  readonly key: string;
}

export type Step =
  /** `sequence` names the value for ever; `expiresAt` in wall-clock milliseconds. */
  | (OfKey & { readonly kind: "set"; readonly sequence: number; readonly expiresAt: number | null })
  | (OfKey & { readonly kind: "delete" })
  | (Timed & { readonly kind: "clear" })
  /** `sequence` 0 = nothing was there; `at` is the wall-clock time before the call. */
  | (OfKey & { readonly kind: "read"; readonly sequence: number; readonly at: number });

type Kind<K extends Step["kind"]> = Extract<Step, { kind: K }>;

/** How much later than its expiry an entry may be read: the clock that is compared with stands still for a turn of the event loop. */
const LATE = 1000;

export function readHistory(path: string): Step[] {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Step);
}

/** What can't have happened, in words. */
export function violationsIn(steps: readonly Step[]): string[] {
  const clears = steps.filter((step) => step.kind === "clear");
  const keys = new Map<string, Exclude<Step, Kind<"clear">>[]>();
  for (const step of steps) {
    if (step.kind === "clear") continue;
    const own = keys.get(step.key);
    if (own === undefined) keys.set(step.key, [step]);
    else own.push(step);
  }
  return [...keys].flatMap(([key, own]) => violationsOfKey(key, own, clears));
}

/** A write or removal, and since when everybody has to know of it: its own end, or the first time that somebody read it. */
interface Change {
  readonly sequence: number;
  readonly start: number;
  readonly known: number;
}

function violationsOfKey(
  key: string,
  own: readonly Exclude<Step, Kind<"clear">>[],
  clears: readonly Kind<"clear">[],
): string[] {
  const reads = own.filter((step) => step.kind === "read");
  const sets = own.filter((step) => step.kind === "set");
  const removals = [...own.filter((step) => step.kind === "delete"), ...clears];
  const firstRead = new Map<number, number>();
  for (const { sequence, end } of reads) {
    firstRead.set(sequence, Math.min(end, firstRead.get(sequence) ?? Number.POSITIVE_INFINITY));
  }
  const changes: Change[] = [
    ...sets.map(({ sequence, start, end }) => ({
      sequence,
      start,
      known: Math.min(end, firstRead.get(sequence) ?? end),
    })),
    ...removals.map(({ start, end }) => ({ sequence: 0, start, known: end })),
  ].sort((left, right) => left.known - right.known);
  const latest = latestStarts(changes);
  const byNumber = new Map(sets.map((set) => [set.sequence, set]));

  return reads.flatMap((read) => {
    const newest = latest.before(read.start);
    if (read.sequence === 0) {
      if (newest === undefined || newest.sequence === 0 || key.startsWith(EXPIRING)) return [];
      // A value that is being replaced may be missing: its file can go between the look-up and the reading.
      const excused = [
        ...removals.filter(({ end }) => end > newest.start),
        ...sets.filter(({ end }) => end > read.start),
      ].some(({ start }) => start < read.end);
      return excused ? [] : [`"${key}" was missing although ${newest.sequence} had been stored`];
    }
    const written = byNumber.get(read.sequence);
    if (written === undefined || written.start > read.end) {
      return [`"${key}" had ${read.sequence}, which nobody had stored`];
    }
    if (newest !== undefined && written.end < newest.start) {
      return [`"${key}" had ${read.sequence} after ${newest.sequence || "its removal"} was known`];
    }
    const tooLate = written.expiresAt !== null && read.at > written.expiresAt + LATE;
    return tooLate ? [`"${key}" had ${read.sequence} long after it had expired`] : [];
  });
}

/** Of the changes that were known before a time, the one that began last. */
function latestStarts(changes: readonly Change[]): { before(time: number): Change | undefined } {
  const latest: Change[] = [];
  for (const change of changes) {
    const last = latest.at(-1);
    latest.push(last !== undefined && last.start > change.start ? last : change);
  }
  return {
    before(time) {
      let [from, to] = [0, changes.length];
      while (from < to) {
        const middle = (from + to) >>> 1;
        if ((changes[middle] as Change).known < time) from = middle + 1;
        else to = middle;
      }
      return latest[from - 1];
    },
  };
}
