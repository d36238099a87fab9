/** What the memory store remembers of a key. */

import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { EntryFacts, NewFacts } from "../store.ts";

/** What an entry is counted as beyond its bytes: key, facts, map and order slots, estimated. */
const OVERHEAD = 256;
const GRANULE = 16;
const HASHED_AT_ONCE = 1024 * 1024;

/** One stored value with its facts. Replaced values keep theirs while versions are kept. */
export interface Value {
  readonly bytes: Uint8Array;
  readonly codec: string;
  readonly createdAt: number;
  readonly shape: readonly number[] | undefined;
  readonly dtype: string | undefined;
  readonly version: number;
  expiresAt: number | null;
  /** When it is removed: at its expiry, or later where it is kept for those who ask for stale entries. */
  keptUntil: number | null;
  priority: number;
  pinned: boolean;
  tags: readonly string[];
  /** JSON text, so that neither side can change what the other sees. */
  metadata: string | undefined;
  digest: string | undefined;
  lastAccessed: number;
  accessCount: number;
}

export interface Entry {
  readonly key: string;
  readonly slot: number;
  value: Value;
  /** Replaced values, newest first. */
  older: Value[];
  stamp: number;
  /** `heat[slot]` up to where it has been added to `accessCount`. */
  countedHeat: number;
  /** The eviction round of the last access; see `MemoryNamespace.round`. */
  accessedInRound: number;
}

/** A value from its bytes, which become the store's. */
export function makeValue(bytes: Uint8Array, facts: NewFacts, createdAt: number, version: number): Value {
  return {
    bytes,
    codec: facts.codec,
    createdAt,
    shape: facts.shape && [...facts.shape],
    dtype: facts.dtype,
    version,
    expiresAt: facts.expiresAt,
    keptUntil: facts.expiresAt && Math.max(facts.expiresAt, facts.staleUntil ?? 0),
    priority: facts.priority ?? 0,
    pinned: facts.pinned ?? false,
    tags: [...new Set(facts.tags)],
    metadata: facts.metadata && JSON.stringify(facts.metadata),
    digest: undefined,
    lastAccessed: createdAt,
    accessCount: 0,
  };
}

/** Another expiry; what is kept after it is kept as long after the new one. */
export function prolong(value: Value, expiresAt: number | null): void {
  const after = (value.keptUntil ?? 0) - (value.expiresAt ?? 0);
  value.expiresAt = expiresAt;
  value.keptUntil = expiresAt && expiresAt + after;
}

/** Bytes that a value counts as: its own, rounded up to 16, and a fixed 256 for all that goes with it. */
export function allocatedBytes(byteLength: number): number {
  return Math.ceil(byteLength / GRANULE) * GRANULE + OVERHEAD;
}

export function factsOf(key: string, value: Value, withVersion: boolean): EntryFacts {
  return {
    key,
    size: value.bytes.byteLength,
    digest: value.digest,
    createdAt: value.createdAt,
    expiresAt: value.expiresAt,
    lastAccessed: value.lastAccessed,
    accessCount: value.accessCount,
    codec: value.codec,
    priority: value.priority,
    pinned: value.pinned,
    tags: [...value.tags],
    metadata: value.metadata === undefined ? undefined : JSON.parse(value.metadata),
    ...(value.shape && { shape: [...value.shape] }),
    ...(value.dtype !== undefined && { dtype: value.dtype }),
    ...(withVersion && { version: value.version }),
  };
}

/** SHA-256 as facts show it, in slices that let the event loop turn in between. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let start = 0; start < bytes.byteLength; start += HASHED_AT_ONCE) {
    if (start > 0) await turn();
    hash.update(bytes.subarray(start, start + HASHED_AT_ONCE));
  }
  return `sha256:${hash.digest("hex")}`;
}
