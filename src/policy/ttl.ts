/** How long entries live. */

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
