/** Eviction over entries that a store lists a page at a time, and removes by key if they are still what they were. */

import type { CandidateColumns } from "../policy/eviction.ts";
import { now } from "../shared/clock.ts";
import type { EvictionResult, EvictionScan } from "./store.ts";

/** One entry that may leave. */
export interface ListedCandidate {
  readonly namespace: string;
  readonly key: string;
  /** Changes with every change of the entry; see `EntryRecord.revision`. */
  readonly revision: string;
  readonly createdAt: number;
  readonly lastAccess: number;
  readonly accessCount: number;
  readonly allocated: number;
  readonly priority: number;
  readonly expiresAt: number | null;
}

/** A namespace as a scan sees it. */
export interface ListedNamespace {
  readonly name: string;
  /** Entries neither pinned nor expired, in any order. */
  candidates(): AsyncIterable<ListedCandidate>;
  /** Removes those whose revision is still the same; says for each whether it did. */
  evict(victims: readonly ListedCandidate[]): Promise<readonly boolean[]>;
}

interface Goal {
  readonly allocated: number;
  readonly entries: number;
}

interface Victim {
  readonly candidate: ListedCandidate;
  readonly score: number;
}

const SAMPLE = 1000;
const REMOVED_AT_ONCE = 256;

/** Remembers at most about twice as many victims as the goal needs. */
export class ListedScan implements EvictionScan {
  readonly #namespaces: ReadonlyMap<string, ListedNamespace>;
  readonly #goal: Goal;
  readonly #lastEviction: number;
  readonly #candidates: AsyncGenerator<ListedCandidate>;
  #offered: ListedCandidate[] = [];
  #victims: Victim[] = [];
  #pruneAt = 1024;

  /** What was used after `lastEviction` counts as visited. */
  constructor(namespaces: readonly ListedNamespace[], goal: Goal, lastEviction: number) {
    this.#namespaces = new Map(namespaces.map((namespace) => [namespace.name, namespace]));
    this.#goal = goal;
    this.#lastEviction = lastEviction;
    this.#candidates = candidatesOf(namespaces);
  }

  async next(limit: number): Promise<CandidateColumns | undefined> {
    this.#offered = [];
    while (this.#offered.length < limit) {
      const { value, done } = await this.#candidates.next();
      if (done) break;
      this.#offered.push(value);
    }
    return this.#offered.length === 0 ? undefined : columnsOf(this.#offered, this.#lastEviction);
  }

  offer(scores: Float64Array): void {
    for (const [index, candidate] of this.#offered.entries()) {
      this.#victims.push({ candidate, score: scores[index] || 0 });
    }
    this.#offered = [];
    if (this.#victims.length < this.#pruneAt) return;
    this.#victims.sort(leavesFirst);
    this.#victims.splice(countNeeded(this.#victims, this.#goal));
    this.#pruneAt = 2 * this.#victims.length + 1024;
  }

  /** Victims that changed since they were listed stay; the next ones leave in their place, as far as remembered. */
  async evict(goal: Goal): Promise<EvictionResult> {
    const victims = this.#victims.sort(leavesFirst);
    this.#victims = [];
    let count = 0;
    let bytes = 0;
    const sample: { namespace: string; key: string }[] = [];
    for (let start = 0; start < victims.length; ) {
      const wanted = countNeeded(victims.slice(start, start + REMOVED_AT_ONCE), {
        allocated: goal.allocated - bytes,
        entries: goal.entries - count,
      });
      if (wanted === 0) break;
      const batch = victims.slice(start, start + wanted).map(({ candidate }) => candidate);
      const removed = await this.#remove(batch);
      for (const [index, { namespace, key, allocated }] of batch.entries()) {
        if (!removed[index]) continue;
        count++;
        bytes += allocated;
        if (sample.length < SAMPLE) sample.push({ namespace, key });
      }
      start += wanted;
    }
    return { count, bytes, sample };
  }

  async #remove(batch: readonly ListedCandidate[]): Promise<readonly boolean[]> {
    const removed = new Map<ListedCandidate, boolean>();
    for (const [name, namespace] of this.#namespaces) {
      const own = batch.filter((candidate) => candidate.namespace === name);
      if (own.length === 0) continue;
      const results = await namespace.evict(own);
      for (const [index, candidate] of own.entries()) removed.set(candidate, results[index] ?? false);
    }
    return batch.map((candidate) => removed.get(candidate) ?? false);
  }

  [Symbol.dispose](): void {
    this.#victims = [];
    this.#offered = [];
    void this.#candidates.return(undefined);
  }
}

async function* candidatesOf(namespaces: readonly ListedNamespace[]): AsyncGenerator<ListedCandidate> {
  for (const namespace of namespaces) yield* namespace.candidates();
}

function leavesFirst(left: Victim, right: Victim): number {
  return left.candidate.priority - right.candidate.priority || left.score - right.score;
}

/** How many of the sorted victims together meet the goal. */
function countNeeded(victims: readonly Victim[], goal: Goal): number {
  let bytes = 0;
  let count = 0;
  for (const { candidate } of victims) {
    if (bytes >= goal.allocated && count >= goal.entries) break;
    bytes += candidate.allocated;
    count++;
  }
  return count;
}

function columnsOf(candidates: readonly ListedCandidate[], lastEviction: number): CandidateColumns {
  const time = now();
  const column = (value: (candidate: ListedCandidate) => number) => Float64Array.from(candidates, value);
  return {
    length: candidates.length,
    createdAt: column(({ createdAt }) => Math.min(createdAt, time)),
    lastAccess: column(({ lastAccess }) => Math.min(lastAccess, time)),
    accessCount: Uint32Array.from(candidates, ({ accessCount }) => Math.min(accessCount, 0xffff_ffff)),
    size: column(({ allocated }) => allocated),
    priority: Int32Array.from(candidates, ({ priority }) => priority),
    expiresAt: column(({ expiresAt }) => expiresAt ?? Number.POSITIVE_INFINITY),
    visited: Uint8Array.from(candidates, ({ lastAccess }) => (lastAccess > lastEviction ? 1 : 0)),
  };
}
