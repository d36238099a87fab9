/** What may be done with a value that was found, by its age. */

/** How old values may be used, in milliseconds. */
export interface FreshnessRules {
  /** So long before its expiry a value is recomputed in the background; 0 = not. */
  readonly refreshAhead: number;
  /** So long after its expiry a value is given out while it is recomputed. */
  readonly staleTtl: number;
  /** So long after its expiry a value is given out when it can't be recomputed. */
  readonly grace: number;
}

/**
 * "fresh": use it. "due" and "stale": use it and recompute it in the background; a stale one has expired. "graced":
 * recompute it, and use it should that fail. "gone": recompute it.
 */
export type Freshness = "fresh" | "due" | "stale" | "graced" | "gone";

/** `expiresAt` null = never. */
export function freshnessOf(expiresAt: number | null, now: number, rules: FreshnessRules): Freshness {
  if (expiresAt === null || now < expiresAt - rules.refreshAhead) return "fresh";
  if (now < expiresAt) return rules.refreshAhead > 0 ? "due" : "fresh";
  if (now < expiresAt + rules.staleTtl) return "stale";
  return now < expiresAt + rules.grace ? "graced" : "gone";
}
