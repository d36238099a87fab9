/** What a program that opens damaged caches is told and tells, and the values it expects. */

export interface OpenAndUseInput {
  readonly root: string;
  /** Values `k0` to `k<count - 1>`, each `bytes(i)` long and full of the byte `i + 1`. */
  readonly count: number;
}

export interface OpenAndUseReport {
  /** Of the error that ended it; undefined when the cache could be opened and used. */
  readonly code: string | undefined;
  readonly right: number;
  readonly missing: number;
  readonly refused: number;
}

/** Bytes of a value: small and large ones. */
export function bytesOf(index: number): number {
  return index % 8 === 7 ? 100_000 : 50 + index * 30;
}
