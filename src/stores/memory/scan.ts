/** Eviction in the memory store: candidates as columns, and the removal of those with the lowest scores. */

import type { CandidateColumns } from "../../policy/eviction.ts";
import { isExpired, now } from "../../shared/clock.ts";
import type { EvictionResult, EvictionScan } from "../store.ts";
import { allocatedBytes, type Entry } from "./entry.ts";
import type { MemoryNamespace } from "./namespace.ts";

/** Allocated bytes and entries that are to go. */
export interface Goal {
  readonly allocated: number;
  readonly entries: number;
}

interface Victim {
  readonly namespace: MemoryNamespace;
  readonly entry: Entry;
  /** As it was when it was scored; another one now means that the entry changed. */
  readonly stamp: number;
  readonly score: number;
}

const SAMPLE = 1000;

/**
 * Remembers at most about twice as many victims as the goal needs. Victims that change between `offer` and
 * `evict` stay and are not made up for: then less than the goal is evicted, and another scan finds the rest.
 */
export class MemoryScan implements EvictionScan {
  readonly #namespaces: readonly MemoryNamespace[];
  readonly #goal: Goal;
  readonly #candidates: Generator<readonly [MemoryNamespace, Entry]>;
  #offered: (readonly [MemoryNamespace, Entry])[] = [];
  #victims: Victim[] = [];
  #pruneAt = 1024;

  constructor(namespaces: readonly MemoryNamespace[], goal: Goal) {
    this.#namespaces = namespaces;
    this.#goal = goal;
    this.#candidates = candidatesOf(namespaces);
  }

  async next(limit: number): Promise<CandidateColumns | undefined> {
    return this.nextSync(limit);
  }

  nextSync(limit: number): CandidateColumns | undefined {
    this.#offered = [];
    while (this.#offered.length < limit) {
      const { value, done } = this.#candidates.next();
      if (done) break;
      this.#offered.push(value);
    }
    return this.#offered.length === 0 ? undefined : columnsOf(this.#offered);
  }

  offer(scores: Float64Array): void {
    for (const [index, [namespace, entry]] of this.#offered.entries()) {
      this.#victims.push({ namespace, entry, stamp: entry.stamp, score: scores[index] || 0 });
    }
    this.#offered = [];
    if (this.#victims.length >= this.#pruneAt) {
      this.#victims = needed(this.#victims.sort(leavesFirst), this.#goal);
      this.#pruneAt = 2 * this.#victims.length + 1024;
    }
  }

  async evict(goal: Goal): Promise<EvictionResult> {
    return this.evictSync(goal);
  }

  evictSync(goal: Goal): EvictionResult {
    const time = now();
    let count = 0;
    let bytes = 0;
    const sample: { namespace: string; key: string }[] = [];
    for (const { namespace, entry, stamp } of this.#victims.sort(leavesFirst)) {
      if (bytes >= goal.allocated && count >= goal.entries) break;
      if (entry.stamp !== stamp || namespace.entries.get(entry.key) !== entry || !isCandidate(entry, time))
        continue;
      namespace.remove(entry);
      count++;
      bytes += allocatedBy(entry);
      if (sample.length < SAMPLE) sample.push({ namespace: namespace.name, key: entry.key });
    }
    this.#victims = [];
    if (count > 0) for (const namespace of this.#namespaces) namespace.round++;
    return { count, bytes, sample };
  }

  [Symbol.dispose](): void {
    this.#victims = [];
    this.#offered = [];
    this.#candidates.return(undefined);
  }
}

function* candidatesOf(namespaces: readonly MemoryNamespace[]): Generator<readonly [MemoryNamespace, Entry]> {
  const time = now();
  for (const namespace of namespaces) {
    for (const entry of namespace.entries.values()) {
      if (isCandidate(entry, time)) yield [namespace, entry];
    }
  }
}

function isCandidate({ value }: Entry, time: number): boolean {
  return !value.pinned && !isExpired(value.createdAt, value.keptUntil, time);
}

function allocatedBy(entry: Entry): number {
  let bytes = allocatedBytes(entry.value.bytes.byteLength);
  for (const value of entry.older) bytes += allocatedBytes(value.bytes.byteLength);
  return bytes;
}

function columnsOf(candidates: readonly (readonly [MemoryNamespace, Entry])[]): CandidateColumns {
  const { length } = candidates;
  const time = now();
  const columns = {
    length,
    createdAt: new Float64Array(length),
    lastAccess: new Float64Array(length),
    accessCount: new Uint32Array(length),
    size: new Float64Array(length),
    priority: new Int32Array(length),
    expiresAt: new Float64Array(length),
    visited: new Uint8Array(length),
  };
  for (const [index, [namespace, entry]] of candidates.entries()) {
    namespace.countHeat(entry, time);
    const { value } = entry;
    columns.createdAt[index] = Math.min(value.createdAt, time);
    columns.lastAccess[index] = Math.min(value.lastAccessed, time);
    columns.accessCount[index] = Math.min(value.accessCount, 0xffff_ffff);
    columns.size[index] = allocatedBy(entry);
    columns.priority[index] = value.priority;
    columns.expiresAt[index] = value.expiresAt ?? Number.POSITIVE_INFINITY;
    columns.visited[index] = entry.accessedInRound === namespace.round ? 1 : 0;
  }
  return columns;
}

function leavesFirst(left: Victim, right: Victim): number {
  return left.entry.value.priority - right.entry.value.priority || left.score - right.score;
}

/** The first victims that together meet the goal. */
function needed(victims: readonly Victim[], goal: Goal): Victim[] {
  let bytes = 0;
  let index = 0;
  while (index < victims.length && (bytes < goal.allocated || index < goal.entries)) {
    bytes += allocatedBy((victims[index] as Victim).entry);
    index++;
  }
  return victims.slice(0, index);
}
