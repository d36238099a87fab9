/** A namespace of the memory store. */

import type { EncodedValue } from "../../codecs/codec.ts";
import { coarseNow, isExpired, now } from "../../shared/clock.ts";
import { QuiverError } from "../../shared/errors.ts";
import {
  type Coherence,
  type EntryFacts,
  type FactChanges,
  type GetFromStore,
  type ListQuery,
  type NamespaceSettings,
  type NewFacts,
  NOWHERE,
  type Page,
  type StoredValue,
  type StoreNamespace,
  type Usage,
  type ValueWriter,
} from "../store.ts";
import { allocatedBytes, digestOf, type Entry, factsOf, makeValue, prolong, type Value } from "./entry.ts";
import { KeyOrder } from "./key-order.ts";
import type { SlotTable } from "./slots.ts";
import { BufferedWriter } from "./writer.ts";

const LONGEST_PAGE = 10_000;
const HEAT_PERIOD = 1000;

/** What a namespace needs of its store. */
export interface Owner {
  readonly slots: SlotTable;
  /** Throws ERR_QUIVER_CLOSED after close. */
  checkOpen(): void;
  /**
   * Makes room for a value of so many bytes, of which `freed` come from what it replaces; throws
   * ERR_QUIVER_TOO_LARGE when there can't be.
   */
  reserve(key: string, allocated: number, freed: () => number): void;
}

/**
 * Everything takes effect within the call, so that operations are applied in the order they are made; promises
 * are there for the contract. A value's bytes are copied in once and handed out as they are.
 */
export class MemoryNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence: Coherence;
  readonly entries: Map<string, Entry> = new Map();
  /** Counts evictions; an entry is "visited" when it was accessed in the present round. */
  round = 0;

  readonly #owner: Owner;
  readonly #order = new KeyOrder((key) => this.entries.has(key));
  readonly #epochSlot: number;
  #settings: NamespaceSettings;
  #bytes = 0;
  #allocated = 0;
  /** No entry expires before this. */
  #nextExpiry = Number.POSITIVE_INFINITY;
  #heatCountedAt = 0;

  constructor(name: string, settings: NamespaceSettings, owner: Owner) {
    this.name = name;
    this.#settings = settings;
    this.#owner = owner;
    this.#epochSlot = owner.slots.take();
    owner.slots.stamp(this.#epochSlot);
    this.coherence = { stamps: owner.slots.stamps, heat: owner.slots.heat, epochSlot: this.#epochSlot };
  }

  get settings(): NamespaceSettings {
    return this.#settings;
  }

  /** Replaces the settings; replaced values beyond the new number of versions are dropped. */
  reconfigure(settings: NamespaceSettings): void {
    this.#settings = settings;
    for (const entry of this.entries.values()) this.#dropVersions(entry);
  }

  getSync(key: string): StoredValue | undefined {
    this.#owner.checkOpen();
    const entry = this.#find(key, coarseNow());
    return entry && this.#serve(entry, entry.value);
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    const { version, stale } = options;
    if (version === undefined && !stale) return this.getSync(key);
    this.#owner.checkOpen();
    if (stale) {
      const kept = this.#find(key, now(), true);
      return kept && this.#serve(kept, kept.value);
    }
    const time = now();
    const entry = this.#find(key, time);
    if (entry === undefined) return undefined;
    if (entry.value.version === version) return this.#serve(entry, entry.value);
    const older = entry.older.find((value) => value.version === version);
    if (older === undefined || isExpired(older.createdAt, older.expiresAt, time)) return undefined;
    return { ...storedValue(older), slot: NOWHERE, stamp: 0 };
  }

  async has(key: string): Promise<boolean> {
    this.#owner.checkOpen();
    return this.#find(key, coarseNow()) !== undefined;
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    this.#owner.checkOpen();
    this.#reserve(key, value.byteLength);
    return this.#put(key, join(value), facts);
  }

  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    this.#owner.checkOpen();
    return new BufferedWriter(options, (bytes, facts) => {
      this.#owner.checkOpen();
      this.#reserve(key, bytes.byteLength);
      return this.#put(key, bytes, facts);
    });
  }

  async delete(key: string): Promise<boolean> {
    this.#owner.checkOpen();
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.remove(entry);
    return !isExpired(entry.value.createdAt, entry.value.expiresAt, now());
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    this.#owner.checkOpen();
    const entry = this.#find(key, now());
    if (entry === undefined) return undefined;
    this.countHeat(entry, now());
    const { value } = entry;
    value.digest ??= await digestOf(value.bytes);
    return this.#facts(key, value);
  }

  async list(options: ListQuery): Promise<Page> {
    this.#owner.checkOpen();
    const { prefix = "", after, limit } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE) {
      throw new QuiverError(
        "ERR_QUIVER_OUT_OF_RANGE",
        `limit is ${limit}; a page has 1 to ${LONGEST_PAGE} entries`,
      );
    }
    const time = now();
    const entries: EntryFacts[] = [];
    for (const key of this.#order.keys(prefix, after)) {
      const entry = this.#find(key, time);
      if (entry === undefined) continue;
      if (entries.length === limit) return { entries, next: entries.at(-1)?.key };
      this.countHeat(entry, time);
      entries.push(this.#facts(key, entry.value));
    }
    return { entries, next: undefined };
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    this.#owner.checkOpen();
    const entry = this.#find(key, now());
    if (entry === undefined) return undefined;
    const { value } = entry;
    if (changes.expiresAt !== undefined) prolong(value, changes.expiresAt);
    if (changes.pinned !== undefined) value.pinned = changes.pinned;
    if (changes.priority !== undefined) value.priority = changes.priority;
    if (changes.tags !== undefined) value.tags = [...new Set(changes.tags)];
    if (changes.metadata === null) value.metadata = undefined;
    else if (changes.metadata !== undefined) value.metadata = JSON.stringify(changes.metadata);
    this.#noteExpiry(value);
    entry.stamp = this.#owner.slots.stamp(entry.slot);
    return this.#facts(key, value);
  }

  async clear(): Promise<number> {
    this.#owner.checkOpen();
    this.#owner.slots.stamp(this.#epochSlot);
    const count = this.entries.size;
    for (const entry of this.entries.values()) this.#owner.slots.release(entry.slot);
    this.entries.clear();
    this.#order.clear();
    this.#bytes = 0;
    this.#allocated = 0;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    return count;
  }

  /** Looks at every entry. */
  async deleteByTag(tag: string): Promise<number> {
    this.#owner.checkOpen();
    const time = now();
    let count = 0;
    for (const entry of this.entries.values()) {
      if (!entry.value.tags.includes(tag)) continue;
      if (!isExpired(entry.value.createdAt, entry.value.expiresAt, time)) count++;
      this.remove(entry);
    }
    return count;
  }

  /** Looks at every entry once one can have expired, at none before. */
  async expire(time: number): Promise<number> {
    this.#owner.checkOpen();
    if (time < this.#nextExpiry) return 0;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    let count = 0;
    for (const entry of this.entries.values()) {
      if (isExpired(entry.value.createdAt, entry.value.keptUntil, time)) {
        this.remove(entry);
        count++;
      } else {
        this.#noteExpiry(entry.value);
      }
    }
    return count;
  }

  usage(): Usage {
    return { entries: this.entries.size, bytes: this.#bytes, allocated: this.#allocated };
  }

  async versions(key: string): Promise<readonly EntryFacts[]> {
    this.#owner.checkOpen();
    const entry = this.#find(key, now());
    if (entry === undefined) return [];
    for (const value of entry.older) value.digest ??= await digestOf(value.bytes);
    return entry.older.map((value) => factsOf(key, value, true));
  }

  /** Takes an entry and its older values out. */
  remove(entry: Entry): void {
    this.entries.delete(entry.key);
    this.#order.remove(entry.key);
    this.#owner.slots.release(entry.slot);
    for (const value of [entry.value, ...entry.older]) this.#count(value, -1);
  }

  /**
   * Adds what holders of the decoded value counted in `heat`. When those accesses were is not known; they count
   * as made now.
   */
  countHeat(entry: Entry, time: number): void {
    if (entry.slot === NOWHERE) return;
    const heat = Atomics.load(this.#owner.slots.heat, entry.slot);
    if (heat === entry.countedHeat) return;
    entry.value.accessCount += (heat - entry.countedHeat) >>> 0;
    entry.value.lastAccessed = time;
    entry.countedHeat = heat;
    entry.accessedInRound = this.round;
  }

  #find(key: string, time: number, stale = false): Entry | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    const { createdAt, expiresAt, keptUntil } = entry.value;
    return isExpired(createdAt, stale ? keptUntil : expiresAt, time) ? undefined : entry;
  }

  #serve(entry: Entry, value: Value): StoredValue {
    value.accessCount++;
    value.lastAccessed = coarseNow();
    entry.accessedInRound = this.round;
    return { ...storedValue(value), slot: entry.slot, stamp: entry.stamp };
  }

  #reserve(key: string, byteLength: number): void {
    this.#owner.reserve(key, allocatedBytes(byteLength), () => {
      const replaced = this.#settings.versions > 0 ? undefined : this.entries.get(key);
      return replaced === undefined ? 0 : allocatedBytes(replaced.value.bytes.byteLength);
    });
  }

  /** Stores bytes that are the store's own already. */
  #put(key: string, bytes: Uint8Array, facts: NewFacts): EntryFacts {
    const time = now();
    this.#countAllHeat(time);
    const replaced = this.entries.get(key);
    if (replaced !== undefined && isExpired(replaced.value.createdAt, replaced.value.expiresAt, time)) {
      this.remove(replaced);
      return this.#add(key, makeValue(bytes, facts, time, 1));
    }
    if (replaced === undefined) return this.#add(key, makeValue(bytes, facts, time, 1));
    const value = makeValue(bytes, facts, time, replaced.value.version + 1);
    replaced.older.unshift(replaced.value);
    replaced.value = value;
    this.#dropVersions(replaced);
    this.#count(value, 1);
    this.#noteExpiry(value);
    replaced.stamp = this.#owner.slots.stamp(replaced.slot);
    return this.#facts(key, value);
  }

  #add(key: string, value: Value): EntryFacts {
    const { slots } = this.#owner;
    const slot = slots.take();
    const countedHeat = slot === NOWHERE ? 0 : Atomics.load(slots.heat, slot);
    const stamp = slots.stamp(slot);
    this.entries.set(key, { key, slot, value, older: [], stamp, countedHeat, accessedInRound: -1 });
    this.#order.add(key);
    this.#count(value, 1);
    this.#noteExpiry(value);
    return this.#facts(key, value);
  }

  #dropVersions(entry: Entry): void {
    for (const value of entry.older.splice(this.#settings.versions)) this.#count(value, -1);
  }

  #count(value: Value, sign: 1 | -1): void {
    this.#bytes += sign * value.bytes.byteLength;
    this.#allocated += sign * allocatedBytes(value.bytes.byteLength);
  }

  #noteExpiry(value: Value): void {
    const { keptUntil } = value;
    if (keptUntil !== null && keptUntil < this.#nextExpiry) this.#nextExpiry = keptUntil;
  }

  /** Once a second under writes, so that the order of accesses is known to about a second when room is needed. */
  #countAllHeat(time: number): void {
    if (time >= this.#heatCountedAt && time - this.#heatCountedAt < HEAT_PERIOD) return;
    this.#heatCountedAt = time;
    for (const entry of this.entries.values()) this.countHeat(entry, time);
  }

  #facts(key: string, value: Value): EntryFacts {
    return factsOf(key, value, this.#settings.versions > 0);
  }
}

function storedValue(value: Value): Omit<StoredValue, "slot" | "stamp"> {
  const { bytes, codec, createdAt, expiresAt } = value;
  return { bytes, codec, createdAt, expiresAt, mapped: false };
}

function join(value: EncodedValue): Uint8Array {
  const bytes = new Uint8Array(value.byteLength);
  let offset = 0;
  for (const part of value.parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}
