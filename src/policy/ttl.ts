/** How long entries live. */

/** A time to live at one level: milliseconds, null = for ever, undefined = what the next level says. */
export type TtlSetting = number | null | undefined;

/** The first of the settings that is not undefined, in the order call, namespace, cache; null where none says anything. */
export function ttlOf(...settings: readonly TtlSetting[]): number | null {
  let ttl: TtlSetting;
  for (let level = 0; ttl === undefined && level < settings.length; level++) ttl = settings[level];
  return ttl ?? null;
}

/** When an entry made at `createdAt` expires; null = never. A time beyond what a number holds exactly counts as never. */
export function expiryOf(createdAt: number, ttl: number | null): number | null {
  if (ttl === null) return null;
  const expiresAt = createdAt + ttl;
  return Number.isSafeInteger(expiresAt) ? expiresAt : null;
}
