/** Facts of an entry as one JSON object, for stores that keep them beside each value. */

import { randomBytes } from "node:crypto";
import { isExpired } from "../shared/clock.ts";
import type { EntryFacts, FactChanges, NewFacts } from "./store.ts";

/** What is written down of an entry. Unknown members of records that newer versions wrote are dropped. */
export interface EntryRecord {
  /** Names the value's bytes: 16 hex digits, random, another one for every write. */
  readonly id: string;
  /** The same for the facts: another one for every change. */
  readonly revision: string;
  readonly size: number;
  readonly digest: string | undefined;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** Milliseconds for which the entry is kept once it has expired. */
  readonly grace: number;
  readonly codec: string;
  readonly priority: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  readonly shape: readonly number[] | undefined;
  readonly dtype: string | undefined;
}

/** How an entry was used, as far as the store knows. */
export interface EntryUse {
  readonly lastAccessed: number;
  readonly accessCount: number;
}

/** A number that no other write has: 16 hex digits. */
export function freshId(): string {
  return randomBytes(8).toString("hex");
}

/** The record of a new value, with copies of what the caller could change. */
export function recordOf(
  facts: NewFacts,
  value: { readonly size: number; readonly createdAt: number; readonly digest?: string },
): EntryRecord {
  return {
    id: freshId(),
    revision: freshId(),
    size: value.size,
    digest: value.digest,
    createdAt: value.createdAt,
    expiresAt: facts.expiresAt,
    grace: Math.max(0, (facts.staleUntil ?? 0) - (facts.expiresAt ?? Number.POSITIVE_INFINITY)),
    codec: facts.codec,
    priority: facts.priority ?? 0,
    pinned: facts.pinned ?? false,
    tags: [...new Set(facts.tags)],
    metadata: facts.metadata && structuredClone(facts.metadata),
    shape: facts.shape && [...facts.shape],
    dtype: facts.dtype,
  };
}

/** The record after a touch. */
export function changedRecord(record: EntryRecord, changes: FactChanges): EntryRecord {
  const { expiresAt, pinned, priority, tags, metadata } = changes;
  return {
    ...record,
    revision: freshId(),
    expiresAt: expiresAt === undefined ? record.expiresAt : expiresAt,
    pinned: pinned ?? record.pinned,
    priority: priority ?? record.priority,
    tags: tags === undefined ? record.tags : [...new Set(tags)],
    metadata: metadata === undefined ? record.metadata : (metadata ?? undefined),
  };
}

/** Whether the entry is to be served no more; with `stale`, not even to those who take expired ones. */
export function isRecordExpired(record: EntryRecord, time: number, stale = false): boolean {
  const { createdAt, expiresAt, grace } = record;
  return isExpired(createdAt, expiresAt === null || !stale ? expiresAt : expiresAt + grace, time);
}

/** Facts as the Store contract has them, with copies of everything that callers could change. */
export function factsOfRecord(key: string, record: EntryRecord, use: EntryUse): EntryFacts {
  const { size, digest, createdAt, expiresAt, codec, priority, pinned, tags, metadata, shape, dtype } =
    record;
  return {
    key,
    size,
    digest,
    createdAt,
    expiresAt,
    ...use,
    codec,
    priority,
    pinned,
    tags: [...tags],
    metadata: metadata && structuredClone(metadata),
    ...(shape && { shape: [...shape] }),
    ...(dtype !== undefined && { dtype }),
  };
}

/** A record from its JSON text; undefined for anything that no store of this package has written. */
export function parseRecord(text: string): EntryRecord | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(parsed) ? completed(parsed) : undefined;
}

type WrittenRecord = Omit<EntryRecord, "grace" | "digest" | "metadata" | "shape" | "dtype"> &
  Partial<EntryRecord>;

function completed(record: WrittenRecord): EntryRecord {
  const { id, revision, size, createdAt, expiresAt, codec, priority, pinned, tags } = record;
  const { grace = 0, digest, metadata, shape, dtype } = record;
  return {
    id,
    revision,
    size,
    digest,
    createdAt,
    expiresAt,
    grace,
    codec,
    priority,
    pinned,
    tags,
    metadata,
    shape,
    dtype,
  };
}

const ID = /^[0-9a-f]{16}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

function isRecord(value: unknown): value is WrittenRecord {
  if (!isObject(value)) return false;
  const { id, revision, size, createdAt, expiresAt, codec, priority, pinned, tags } = value;
  const { grace, digest, metadata, shape, dtype } = value;
  return (
    isText(id) &&
    ID.test(id) &&
    isText(revision) &&
    ID.test(revision) &&
    isCount(size) &&
    Number.isFinite(createdAt) &&
    (expiresAt === null || Number.isFinite(expiresAt)) &&
    isText(codec) &&
    Number.isInteger(priority) &&
    typeof pinned === "boolean" &&
    Array.isArray(tags) &&
    tags.every(isText) &&
    (grace === undefined || isCount(grace)) &&
    (digest === undefined || (isText(digest) && DIGEST.test(digest))) &&
    (metadata === undefined || isObject(metadata)) &&
    (shape === undefined || (Array.isArray(shape) && shape.every(isCount))) &&
    (dtype === undefined || isText(dtype))
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
