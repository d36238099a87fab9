/** Which entries leave first. Policies are pure: they see columns of facts and write scores. */

/** Candidates as columns, `length` of each in use. Times are wall-clock milliseconds, never in the future of `now`. */
export interface CandidateColumns {
  readonly length: number;
  readonly createdAt: Float64Array;
  readonly lastAccess: Float64Array;
  readonly accessCount: Uint32Array;
  /** Allocated bytes. */
  readonly size: Float64Array;
  /** Lower priority leaves first whatever the score. */
  readonly priority: Int32Array;
  /** Infinity = never. */
  readonly expiresAt: Float64Array;
  /** 1 when accessed since the last eviction that passed over it (for SIEVE). */
  readonly visited: Uint8Array;
}

/** Says which entries leave first. It ranks columns, not entries one by one, so that a million take milliseconds. */
export interface EvictionPolicy {
  /** Recorded in the cache; two processes must open it with the same. */
  readonly name: string;
  /** Writes a score for each candidate into `out[0 … length)`; the lowest leaves first. NaN counts as 0. Called with up to 65,536 candidates at a time. */
  score(columns: CandidateColumns, now: number, out: Float64Array): void;
}
