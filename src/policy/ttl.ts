/** How long entries live. */

import { CLOCK_TOLERANCE } from "../shared/clock.ts";

/** A time to live at one level: milliseconds, null = for ever, undefined = what the next level says. */
export type TtlSetting = number | null | undefined;

/**
 * When an entry made at `createdAt` expires: the first of the settings that is not undefined counts, in the order
 * call, namespace, cache; null = never. A time beyond what a number holds exactly counts as never.
 */
export function expiryOf(createdAt: number, ...settings: readonly TtlSetting[]): number | null {
  let ttl: TtlSetting;
  for (let level = 0; ttl === undefined && level < settings.length; level++) ttl = settings[level];
  if (ttl === undefined || ttl === null) return null;
  const expiresAt = createdAt + ttl;
  return Number.isSafeInteger(expiresAt) ? expiresAt : null;
}

/** The time of creation to believe: one further in the future than clocks may disagree counts as now. */
export function believableCreation(createdAt: number, now: number): number {
  return createdAt > now + CLOCK_TOLERANCE ? now : createdAt;
}
