/**
 * The hot tier: decoded values in this process's memory. A hit costs a Map look-up and a few comparisons; it asks
 * no store, allocates nothing and makes no system call. What is held is believed only while the store's stamps
 * say that it is current (see `Coherence`), so that writes of other processes are seen at once.
 */

import { CLOCK_TOLERANCE, coarseNow } from "../shared/clock.ts";
import { type Coherence, NOWHERE, type StoredValue } from "../stores/store.ts";
import type { Memory } from "./sharing.ts";

/** Counted for each held value besides its own weight: map entry, links, key. */
const OVERHEAD = 200;

/** Values heavier than this share of the limit are not held: one of them would push out everything else. */
const LARGEST_SHARE = 1 / 4;

/**
 * Which values were asked for lately and how often: their stamps, by the low bits of their slots. Where two share a place,
 * they are taken for new more often. The table grows with those that are met, since new memory takes longer to be had than
 * a value to be found.
 */
class Acquaintances {
  static readonly #FEWEST = 1024;
  /** Bytes of the limit for each of them: as much as a small held value costs. */
  static readonly #SHARE = 1024;
  static readonly #MOST = 2 ** 20;
  readonly #most: number;
  #stamps = new Uint32Array(Acquaintances.#FEWEST);
  #times = new Uint8ClampedArray(Acquaintances.#FEWEST);
  /** Met since the table has had its size. */
  #strangers = 0;

  constructor(limit: number) {
    this.#most = Math.min(limit / Acquaintances.#SHARE, Acquaintances.#MOST);
  }

  /** How often the value has been met, this time included; 255 for more. */
  meet({ slot, stamp }: StoredValue): number {
    const stamps = this.#stamps;
    const times = this.#times;
    const place = slot & (stamps.length - 1);
    if (stamps[place] === stamp) {
      times[place] = (times[place] as number) + 1;
      return times[place] as number;
    }
    stamps[place] = stamp;
    times[place] = 1;
    if (++this.#strangers > stamps.length && stamps.length < this.#most) this.#grow();
    return 1;
  }

  /** Twice as many. Who was met is found at either of the places that he may have now. */
  #grow(): void {
    this.#stamps = twice(this.#stamps, new Uint32Array(this.#stamps.length * 2));
    this.#times = twice(this.#times, new Uint8ClampedArray(this.#times.length * 2));
    this.#strangers = 0;
  }
}

/** An array twice over, in one with room for it. */
function twice<A extends Uint32Array | Uint8ClampedArray>(array: A, room: A): A {
  room.set(array);
  room.set(array, array.length);
  return room;
}

/** A held value and what has to be true for it to be served. */
export interface HotEntry {
  readonly key: string;
  readonly value: unknown;
  readonly slot: number;
  readonly stamp: number;
  readonly epoch: number;
  /** Served while `freshFrom <= now < freshUntil`. */
  readonly freshFrom: number;
  readonly freshUntil: number;
  /** The memory that the value is a view on, none of it empty; a length of 0 means that somebody transferred it away. */
  readonly memory: readonly Memory[];
  readonly weight: number;
  readonly home: HotNamespace;
  visited: boolean;
  newer: HotEntry | undefined;
  older: HotEntry | undefined;
}

/** What a namespace asks to have held. */
export interface HotCandidate {
  readonly value: unknown;
  readonly stored: StoredValue;
  /** The epoch word as it was before the value was read. */
  readonly epoch: number;
  /** The memory that the value is a view on. */
  readonly memory: readonly Memory[];
  /** Bytes of memory that holding the value costs. */
  readonly weight: number;
}

/**
 * The bound over all namespaces of a cache. Eviction is SIEVE: a hand walks from the oldest value to the newest,
 * takes away those not used since it last passed, and gives the others another round.
 */
export class HotTier {
  readonly #limit: number;
  #weight = 0;
  #newest: HotEntry | undefined;
  #oldest: HotEntry | undefined;
  #hand: HotEntry | undefined;
  #met: Acquaintances | undefined;

  /** `limit` in bytes; 0 holds nothing. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes held, as estimated. */
  get weight(): number {
    return this.#weight;
  }

  /** Whether anything can be held at all. */
  get isOpen(): boolean {
    return this.#limit > 0;
  }

  admits(weight: number): boolean {
    return weight + OVERHEAD <= this.#limit * LARGEST_SHARE;
  }

  /** How often a value that was just read has been read as it is now, this time included. */
  timesRead(stored: StoredValue): number {
    this.#met ??= new Acquaintances(this.#limit);
    return this.#met.meet(stored);
  }

  add(entry: HotEntry): void {
    entry.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
    this.#weight += entry.weight;
    while (this.#weight > this.#limit) this.#evictOne();
  }

  /** Takes an entry out of the order; its namespace takes it out of its map. */
  remove(entry: HotEntry): void {
    if (this.#hand === entry) this.#hand = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    entry.newer = undefined;
    entry.older = undefined;
    this.#weight -= entry.weight;
  }

  /** Lets go of values that are views on memory of a store, where that is scarce. */
  dropViews(): void {
    let entry = this.#oldest;
    while (entry !== undefined) {
      const { newer } = entry;
      if (entry.memory.length > 0) entry.home.drop(entry);
      entry = newer;
    }
  }

  #evictOne(): void {
    let candidate = this.#hand ?? this.#oldest;
    while (candidate?.visited) {
      candidate.visited = false;
      candidate = candidate.newer ?? this.#oldest;
    }
    if (candidate === undefined) return;
    this.#hand = candidate;
    candidate.home.drop(candidate);
  }
}

/** The held values of one namespace. */
export class HotNamespace {
  readonly #tier: HotTier;
  readonly #coherence: Coherence | undefined;
  readonly #entries = new Map<string, HotEntry>();
  /** Whether any value can be held here. */
  readonly canHold: boolean;

  /** Without `coherence` nothing is held. */
  constructor(tier: HotTier, coherence: Coherence | undefined) {
    this.#tier = tier;
    this.#coherence = coherence;
    this.canHold = coherence !== undefined && tier.isOpen;
  }

  /** The current value's entry. One that is no longer current is dropped on the way. */
  find(key: string): HotEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const { stamps, heat, epochSlot } = this.#coherence as Coherence;
    const time = coarseNow();
    // Plain reads: atomic ones are calls, and take as long as all the rest. They are made anew each time, because the
    // write to `heat` may, for all that the engine knows, have been one to the same memory.
    if (
      stamps[entry.slot] === entry.stamp &&
      stamps[epochSlot] === entry.epoch &&
      time < entry.freshUntil &&
      time >= entry.freshFrom &&
      isIntact(entry.memory)
    ) {
      entry.visited = true;
      heat[entry.slot] = (heat[entry.slot] as number) + 1;
      return entry;
    }
    this.drop(entry);
    return undefined;
  }

  /**
   * The epoch word, to be read before the store is asked: a clear in between then makes the held value stale at
   * once instead of letting it pass for newer than it is.
   */
  epoch(): number {
    return this.#coherence === undefined
      ? 0
      : Atomics.load(this.#coherence.stamps, this.#coherence.epochSlot);
  }

  /**
   * Whether it is worth memory to hold a value that was just read: from the reading on that is named. Many values are read
   * once, or a few times before they are replaced, and a buffer for each, or having the garbage collector copy what was
   * parsed, costs more than finding them again.
   */
  isWorthHolding(stored: StoredValue, from: number): boolean {
    return this.canHold && stored.slot !== NOWHERE && this.#tier.timesRead(stored) >= from;
  }

  /** Holds a value in place of what was held under the key, unless it is too heavy or can't be checked. */
  hold(key: string, candidate: HotCandidate): void {
    const { stored, value, epoch } = candidate;
    if (this.#coherence === undefined || stored.slot === NOWHERE || !this.#tier.admits(candidate.weight))
      return;
    const before = this.#entries.get(key);
    if (before !== undefined) this.drop(before);
    const entry: HotEntry = {
      key,
      value,
      slot: stored.slot,
      stamp: stored.stamp,
      epoch,
      freshFrom: stored.expiresAt === null ? Number.NEGATIVE_INFINITY : stored.createdAt - CLOCK_TOLERANCE,
      freshUntil: stored.expiresAt ?? Number.POSITIVE_INFINITY,
      memory: candidate.memory.filter(({ byteLength }) => byteLength > 0),
      weight: candidate.weight + OVERHEAD,
      home: this,
      visited: false,
      newer: undefined,
      older: undefined,
    };
    this.#entries.set(key, entry);
    this.#tier.add(entry);
  }

  /** Lets go of all views that are held, those of other namespaces included. */
  dropViews(): void {
    this.#tier.dropViews();
  }

  drop(entry: HotEntry): void {
    this.#entries.delete(entry.key);
    this.#tier.remove(entry);
  }

  /** Lets go of everything. */
  clear(): void {
    for (const entry of this.#entries.values()) this.#tier.remove(entry);
    this.#entries.clear();
  }
}

function isIntact(memory: readonly Memory[]): boolean {
  for (let index = 0; index < memory.length; index++) {
    if (memory[index]?.byteLength === 0) return false;
  }
  return true;
}
