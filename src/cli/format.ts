/** Times and digests as tables show them. */

import { now } from "../shared/clock.ts";
import { formatDuration } from "../shared/units.ts";

const DIGEST_CHARACTERS = 12;

/** How long ago, in one unit: `1.5 h`. `-` for never. */
export function ago(time: number | null): string {
  return time === null ? "-" : formatDuration(Math.max(0, Math.round(now() - time)));
}

/** A point in time for people and programs alike: `2025-11-11T00:00:00.000Z`; `never` for null. */
export function timestamp(time: number | null): string {
  return time === null ? "never" : new Date(time).toISOString();
}

/** The first characters of a digest, enough to tell two apart; `-` where there is none yet. */
export function shortDigest(digest: string | undefined): string {
  return digest === undefined ? "-" : digest.replace(/^sha256:/, "").slice(0, DIGEST_CHARACTERS);
}
