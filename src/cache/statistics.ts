/** Counting in this process, and what is told of it. */

import type { CounterKeeper, Counters } from "../stores/counters.ts";
import type { EvictionResult } from "../stores/store.ts";

/** The numbers of a namespace, or the sums over all of them. Times are wall-clock milliseconds. */
export interface Statistics extends Readonly<Counters> {
  readonly entries: number;
  /** Sum of value sizes. */
  readonly bytes: number;
  /** Allocated bytes, what limits count. */
  readonly allocated: number;
  /** hits / (hits + misses); 0 before the first look-up. */
  readonly hitRate: number;
  /** The access that lies furthest back among the entries, and the latest; null without entries. */
  readonly oldestAccess: number | null;
  readonly newestAccess: number | null;
}

/** Sums over all namespaces, and the table of them. */
export interface CacheStatistics extends Statistics {
  readonly namespaces: Readonly<Record<string, Statistics>>;
}

/** How often a namespace with `observe` had what was computed. */
export interface Observations {
  readonly same: number;
  readonly different: number;
}

/** Counts that belong to the cache and to none of its namespaces in particular. */
const UNATTRIBUTED = "";

/** The live counters of this process, written without ceremony by whoever counts, and merged into a keeper now and then. */
export class Tally {
  readonly #keeper: CounterKeeper;
  readonly #live = new Map<string, Counters>();
  readonly #errors = new Map<string, number>();
  readonly #observed = new Map<string, Observations>();

  constructor(keeper: CounterKeeper = new ProcessCounters()) {
    this.#keeper = keeper;
  }

  /** The counters to increment. Always the same object for a name. */
  of(namespace: string): Counters {
    let counters = this.#live.get(namespace);
    if (counters === undefined) {
      counters = zero();
      this.#live.set(namespace, counters);
    }
    return counters;
  }

  /** Counts a batch under its namespaces as far as it names them, the rest under the cache. */
  countEvictions(result: EvictionResult, namespace: string | undefined): void {
    if (namespace !== undefined) {
      this.of(namespace).evictions += result.count;
      return;
    }
    for (const { namespace: name } of result.sample) this.of(name).evictions++;
    this.of(UNATTRIBUTED).evictions += result.count - result.sample.length;
  }

  /** Counts a failure that counted as a miss, also under its kind: a code of QuiverError, or "error". */
  countError(namespace: string, kind: string): void {
    this.of(namespace).errors++;
    this.#errors.set(kind, (this.#errors.get(kind) ?? 0) + 1);
  }

  /** Failures by kind, those of this process since it opened the cache. */
  errorsByKind(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#errors);
  }

  countObserved(namespace: string, same: boolean): void {
    const { same: before, different } = this.observed(namespace);
    const after = same ? { same: before + 1, different } : { same: before, different: different + 1 };
    this.#observed.set(namespace, after);
  }

  /** What this process has observed since it opened the cache. */
  observed(namespace: string): Observations {
    return this.#observed.get(namespace) ?? { same: 0, different: 0 };
  }

  /** Moves what was counted since the last flush to the keeper. */
  flush(): void {
    for (const [namespace, counters] of this.#live) {
      if (Object.values(counters).every((count) => count === 0)) continue;
      this.#keeper.add(namespace, { ...counters });
      Object.assign(counters, zero());
    }
  }

  /** All counts of a namespace, this process's latest included. */
  read(namespace: string): Counters {
    return addCounters(this.#keeper.read(namespace), this.of(namespace));
  }

  /** Counts of the cache that no namespace has. */
  unattributed(): Counters {
    return this.read(UNATTRIBUTED);
  }
}

/** Sums of statistics, with `extra` counts added. */
export function sumStatistics(parts: readonly Statistics[], extra: Readonly<Counters>): Statistics {
  let counters: Counters = { ...extra };
  let [entries, bytes, allocated] = [0, 0, 0];
  let oldestAccess: number | null = null;
  let newestAccess: number | null = null;
  for (const part of parts) {
    counters = addCounters(counters, part);
    entries += part.entries;
    bytes += part.bytes;
    allocated += part.allocated;
    if (part.oldestAccess !== null)
      oldestAccess = Math.min(oldestAccess ?? part.oldestAccess, part.oldestAccess);
    if (part.newestAccess !== null)
      newestAccess = Math.max(newestAccess ?? part.newestAccess, part.newestAccess);
  }
  return { entries, bytes, allocated, ...counters, hitRate: hitRate(counters), oldestAccess, newestAccess };
}

export function hitRate({ hits, misses }: Readonly<Counters>): number {
  return hits + misses === 0 ? 0 : hits / (hits + misses);
}

/** Counters that end with the process. */
export class ProcessCounters implements CounterKeeper {
  readonly #sums = new Map<string, Counters>();

  read(namespace: string): Readonly<Counters> {
    return this.#sums.get(namespace) ?? zero();
  }

  add(namespace: string, counts: Readonly<Counters>): void {
    this.#sums.set(namespace, addCounters(this.read(namespace), counts));
  }
}

function zero(): Counters {
  return { hits: 0, misses: 0, sets: 0, deletes: 0, evictions: 0, expired: 0, errors: 0 };
}

/** The sums of two. */
export function addCounters(left: Readonly<Counters>, right: Readonly<Counters>): Counters {
  return {
    hits: left.hits + right.hits,
    misses: left.misses + right.misses,
    sets: left.sets + right.sets,
    deletes: left.deletes + right.deletes,
    evictions: left.evictions + right.evictions,
    expired: left.expired + right.expired,
    errors: left.errors + right.errors,
  };
}
