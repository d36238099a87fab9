/** When eviction begins, and how much leaves. */

/** Default share of a limit at which eviction begins. */
export const DEFAULT_THRESHOLD = 0.9;

/** Eviction frees this share of the limit beyond the threshold, so that it does not begin again at once. */
const HYSTERESIS = 0.05;

/** What counts against limits. */
export interface Amounts {
  readonly allocated: number;
  readonly entries: number;
}

export interface Limits {
  /** Allocated bytes; null = no limit. */
  readonly maxSize: number | null;
  readonly maxEntries: number | null;
}

/** How much has to leave. */
export type EvictionGoal = Amounts;

/** Whether there is any limit. */
export function isLimited({ maxSize, maxEntries }: Limits): boolean {
  return maxSize !== null || maxEntries !== null;
}

/**
 * What to evict so that usage falls to the low-water mark, which lies 0.05 of the limit under `threshold`;
 * undefined while no limit's high-water mark, `threshold` times the limit, is exceeded. Marks are rounded up, so
 * that limits of a few entries can be used in full. `threshold` is in (0, 1].
 */
export function evictionGoal(
  usage: Amounts,
  limits: Limits,
  threshold: number = DEFAULT_THRESHOLD,
): EvictionGoal | undefined {
  const allocated = excess(usage.allocated, limits.maxSize, threshold);
  const entries = excess(usage.entries, limits.maxEntries, threshold);
  return allocated === 0 && entries === 0 ? undefined : { allocated, entries };
}

function excess(used: number, limit: number | null, threshold: number): number {
  if (limit === null || used <= Math.ceil(limit * threshold)) return 0;
  return used - Math.ceil(limit * Math.max(threshold - HYSTERESIS, 0));
}
