/**
 * The contract between the cache and the places where values live. A store keeps bytes and facts; it knows
 * nothing of codecs, of TTL defaults or of which namespace is routed to it. Every store passes the one
 * conformance suite in `src/testing/store-suite.ts`.
 */

import type { EncodedValue, PartedBytes } from "../codecs/codec.ts";
import type { CandidateColumns } from "../policy/eviction.ts";

/** What a store can do. Data, not methods: callers and the conformance suite read it. */
export interface StoreCapabilities {
  /** `getSync`, `hasSync` work without waiting. */
  readonly sync: boolean;
  /** Entries survive `close` and a new process. */
  readonly persistent: boolean;
  /** Other processes see what is written here. */
  readonly shared: boolean;
  /** Values can be had as files: `path`. */
  readonly files: boolean;
  /** Values can be views into mapped files. */
  readonly mapped: boolean;
  /** Replaced values can be kept: settings `versions`. */
  readonly versions: boolean;
  /** Expired entries can be kept for a while, for those who ask: `NewFacts.staleUntil`. */
  readonly stale: boolean;
  /** What is set can be read back; false for the null store only. */
  readonly keeps: boolean;
}

/** Settings that belong to a namespace and, in a persistent store, are recorded with it. */
export interface NamespaceSettings {
  /** "named": files that people open by key; "hashed": one folder level by content id. */
  readonly layout: "named" | "hashed";
  /** "large": small values are packed into the catalog; "always": one file an entry. */
  readonly files: "large" | "always";
  /** Codec name values are written with when a call names none; null = by value. */
  readonly codec: string | null;
  /** Default time to live in milliseconds; null = for ever. */
  readonly ttl: number | null;
  /** Limit in bytes of allocated blocks; null = none of its own. */
  readonly maxSize: number | null;
  readonly maxEntries: number | null;
  /** Name of the eviction policy. */
  readonly eviction: string;
  /** How many replaced values are kept; 0 = none. */
  readonly versions: number;
  /** index.json is kept beside the values. Default: true for "named". */
  readonly index: boolean;
}

/** Facts about one entry, as the store keeps them. Times are wall-clock milliseconds. */
export interface EntryFacts {
  readonly key: string;
  /** Bytes of the stored (encoded) value. */
  readonly size: number;
  /** `sha256:<64 hex>`; undefined where it has not been computed (small packed values, until `info`). */
  readonly digest: string | undefined;
  readonly createdAt: number;
  /** null = never. */
  readonly expiresAt: number | null;
  readonly lastAccessed: number;
  readonly accessCount: number;
  readonly codec: string;
  readonly priority: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  /** The user's own, any JSON object. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
  /** Present for values that are one tensor. */
  readonly shape?: readonly number[];
  readonly dtype?: string;
  /** The file a person may open, where there is one. */
  readonly path?: string;
  /** Number of this value among the key's values, counted from 1, where versions are kept. */
  readonly version?: number;
}

/** Facts that a write brings along; what is left out gets the stated default. */
export interface NewFacts {
  readonly codec: string;
  /** File extension without dot. */
  readonly extension: string;
  /** Absolute time or null = never. */
  readonly expiresAt: number | null;
  /** Until when the entry is kept once it has expired, for `get` with `stale`. Default: not at all. */
  readonly staleUntil?: number;
  readonly priority?: number;
  readonly pinned?: boolean;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly shape?: readonly number[];
  readonly dtype?: string;
  /** Proof of holding the computation of this key; a write with an outdated one is dropped (see `Flight`). */
  readonly fence?: number;
}

export interface FactChanges {
  readonly expiresAt?: number | null;
  readonly pinned?: boolean;
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, unknown>> | null;
}

/**
 * A value as the store hands it out. `bytes` may be a view into a mapped file: it stays valid as long as it is
 * referenced, and writing into it changes only this process's copy-on-write pages. Callers must not write.
 */
export interface StoredValue {
  readonly bytes: Uint8Array;
  /**
   * The same bytes where a part of them can be had at less expense. Then `bytes` is best not asked for, and may be a getter
   * of the value's class, which `{ ...value }` doesn't have.
   */
  readonly parts?: PartedBytes;
  readonly codec: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  /** `bytes` lies in a mapped file. */
  readonly mapped: boolean;
  /** `bytes` lies in memory that other values have too, as `ReadOptions` allows: who keeps it keeps all of that. */
  readonly pooled?: boolean;
  /** Checks `[start, end)` of `bytes` against the stored sums once; throws ERR_QUIVER_CHECKSUM_MISMATCH. Undefined: already checked. */
  readonly verify?: ((start: number, end: number) => void) | undefined;
  /** The same off the main thread, reading ahead. */
  readonly ready?: ((start: number, end: number) => Promise<void>) | undefined;
  /** Where to look whether this value is still the one stored (see `Coherence`), or `NOWHERE`. */
  readonly slot: number;
  readonly stamp: number;
}

/** The slot of values about which nothing tells whether they are current: of those that found no room, or have no table. */
export const NOWHERE = 0xffff_ffff;

/** Bytes of a value. */
export function sizeOf(stored: StoredValue): number {
  return (stored.parts ?? stored.bytes).byteLength;
}

/**
 * How a decoded value in memory is known to be current without asking the store: it is while
 * `stamps[slot] === stamp`, `stamps[epochSlot]` is what it was when the value was read, and it is not expired.
 * `heat[slot]` is incremented by whoever serves the value from memory. Longer arrays may take the place of both, before
 * a value comes whose slot needs them: they are looked at here each time.
 */
export interface Coherence {
  readonly stamps: Uint32Array;
  readonly heat: Uint32Array;
  readonly epochSlot: number;
}

/** Which entries a page of a listing has: at most `limit` of those that begin with `prefix` and come after `after`. */
export interface ListQuery {
  readonly prefix?: string;
  /** A key that need not be there. */
  readonly after?: string;
  /** At most 10,000. */
  readonly limit: number;
}

export interface Page<T = EntryFacts> {
  readonly entries: readonly T[];
  /** Pass as `after` for the next page; undefined at the end. */
  readonly next: string | undefined;
}

/** What entries take. */
export interface Usage {
  readonly entries: number;
  /** Sum of value sizes. */
  readonly bytes: number;
  /** Allocated bytes, what limits count. */
  readonly allocated: number;
}

/** A file of a value that stays until released; see `Namespace.path`. */
export interface PathLease extends Disposable {
  readonly path: string;
  /** Gives the file up; the same as disposing of the lease. Twice is no error. */
  release(): void;
}

/** The right to compute one key. Callers in other processes wait until it is released or its holder is gone. */
export interface Flight {
  /** Pass as `NewFacts.fence`. */
  readonly fence: number;
  release(): void;
}

/** A value written piece by piece. Exactly one of `commit` and `abort` ends it. */
export interface ValueWriter {
  /** The bytes are copied before the call returns; resolves when more may be written. */
  write(chunk: Uint8Array): Promise<void>;
  commit(facts: NewFacts): Promise<EntryFacts>;
  abort(): Promise<void>;
}

/** Values written together. Each is written as by a `set` at the time of its `add`; what one comes to doesn't concern the others. */
export interface StoreBatch {
  /** Copies the value before it returns. False where this one needs a `set`: then nothing was done. */
  add(key: string, value: EncodedValue, facts: NewFacts): boolean;
  /** Facts or an error for each that was added, in their order, once all have ended. To be called once, after the last. */
  ended(): Promise<readonly (EntryFacts | Error)[]>;
}

export interface GetFromStore {
  readonly version?: number;
  readonly stale?: boolean;
}

export interface ReadOptions {
  /**
   * Bytes may lie in memory that they share with other values, which is quicker to have but stays as long as one of
   * them is used: for values that nobody holds for long. Default: false.
   */
  readonly pooled?: boolean;
}

/** A namespace as a store keeps it: bytes and facts by key. Calls on one key take effect in the order in which they are made. */
export interface StoreNamespace {
  readonly name: string;
  readonly settings: NamespaceSettings;
  readonly coherence: Coherence | undefined;

  /** undefined when absent or expired; with `stale` also an expired one that is kept. `version` reads a kept older value. */
  get(key: string, options?: GetFromStore): Promise<StoredValue | undefined>;
  /** Present when `capabilities.sync`. */
  getSync?(key: string, options?: ReadOptions): StoredValue | undefined;
  /**
   * What `get` answers, without a promise where nothing has to be waited for; may throw instead of rejecting. A store
   * that has it refuses what can't be a key in all three of them.
   */
  getAtOnce?(key: string, options?: ReadOptions): StoredValue | undefined | Promise<StoredValue | undefined>;
  has(key: string): Promise<boolean>;
  /** Replaces what was there. Acknowledged when it is as durable as the store promises. Operations on one key take effect in call order. */
  set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts>;
  /** `set` without a promise: the thread waits. Throws ERR_QUIVER_UNSUPPORTED while another write of the key is under way. */
  setSync?(key: string, value: EncodedValue, facts: NewFacts): EntryFacts;
  /** Present where writing many values together is quicker than `set` for each. */
  batch?(): StoreBatch;
  /** Starts a streamed write; takes effect in the order of its `commit`. */
  writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter>;
  delete(key: string): Promise<boolean>;
  info(key: string): Promise<EntryFacts | undefined>;
  /** Entries in ascending order of the UTF-8 bytes of their keys; expired ones left out. */
  list(query: ListQuery): Promise<Page>;
  /** The keys of the same page. Present where they are quicker to have without facts. */
  listKeys?(query: ListQuery): Promise<Page<string>>;
  /** undefined when absent. */
  touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined>;
  /** Removes everything at once; how many entries there were. */
  clear(): Promise<number>;
  /** Removes the entries that carry the tag. */
  deleteByTag(tag: string): Promise<number>;
  /** Removes what has expired; how many. */
  expire(now: number): Promise<number>;
  usage(): Usage;
  /** Older values of the key, newest first, where `settings.versions` > 0. */
  versions?(key: string): Promise<readonly EntryFacts[]>;
  /** Present when `capabilities.files`. */
  path?(key: string, options: { verify: boolean }): Promise<PathLease | undefined>;
  /** The right to compute this key among all processes; undefined = waited `timeout` ms in vain. Absent: only this process computes. */
  flight?(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined>;
}

/** One pass over eviction candidates (neither pinned nor expired). Not for concurrent use. */
export interface EvictionScan extends Disposable {
  /** The next candidates as columns; undefined at the end. Score them, then call `offer`. */
  next(limit: number): Promise<CandidateColumns | undefined>;
  /** Scores for the last columns, lowest leaves first. The store keeps only as many as could be needed. */
  offer(scores: Float64Array): void;
  /** Removes the lowest-scored until both goals are met; each is re-checked, so one that changed meanwhile stays. */
  evict(goal: { allocated: number; entries: number }): Promise<EvictionResult>;
}

export interface EvictionResult {
  readonly count: number;
  readonly bytes: number;
  /** Namespace and key of the evicted, the first 1,000 of them. */
  readonly sample: readonly { readonly namespace: string; readonly key: string }[];
}

/** A place for values, with any number of namespaces. After `close` every call is ERR_QUIVER_CLOSED. */
export interface Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities;
  /**
   * Opens a namespace, making it with `settings` where absent. An existing one keeps its own settings: those of
   * `settings` that are given and differ are ERR_QUIVER_SETTINGS_DIFFER unless `reconfigure`.
   */
  open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options?: { reconfigure?: boolean },
  ): Promise<StoreNamespace>;
  /** Names of all namespaces here, sorted. */
  names(): Promise<readonly string[]>;
  usage(): Usage;
  /** Candidates of the named namespaces, or of all. `goal` bounds what the scan has to remember. */
  evictionScan(options: {
    namespaces?: readonly string[];
    goal: { allocated: number; entries: number };
  }): Promise<EvictionScan>;
  close(): Promise<void>;
}
