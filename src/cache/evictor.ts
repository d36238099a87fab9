/**
 * Keeps the cache within its limits, off the path of requests. A pass removes what has expired, then, where usage
 * has passed a high-water mark, the entries that the policy names, scored a chunk at a time so that the event loop
 * turns in between.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { EvictionPolicy } from "../policy/eviction.ts";
import { scoreWith } from "../policy/resolve.ts";
import {
  type Amounts,
  type EvictionGoal,
  evictionGoal,
  isLimited,
  type Limits,
} from "../policy/watermarks.ts";
import { now } from "../shared/clock.ts";
import type { EvictionResult, Store, StoreNamespace } from "../stores/store.ts";

/** Candidates scored and ranked in one turn of the event loop: some milliseconds, with a million behind them. */
const CHUNK = 16_384;

/** How often a pass is made although nothing was written here: entries expire, and other processes write. */
const PERIOD = 60_000;

export interface EvictionTarget {
  readonly namespace: StoreNamespace;
  readonly policy: EvictionPolicy;
}

export interface EvictorOptions {
  /** Looked at one by one, each against the limits of the cache. */
  readonly stores: readonly Store[];
  readonly limits: Limits;
  readonly policy: EvictionPolicy;
  readonly threshold: number;
  /** The namespaces known at the time of a pass. */
  readonly targets: () => readonly EvictionTarget[];
  /** One batch has left; `namespace` when it was for that namespace's own limit. */
  readonly onEvict: (result: EvictionResult, namespace: string | undefined) => void;
  readonly onExpire: (namespace: string, count: number) => void;
  /** Whether passes are made unasked. */
  readonly enabled: boolean;
  /** A pass that nobody waits for has failed. */
  readonly onError: (error: unknown) => void;
}

/** What a pass removed. */
export interface EvictionReport {
  readonly evicted: number;
  /** Allocated bytes of the evicted. */
  readonly bytes: number;
  readonly expired: number;
}

export class Evictor {
  readonly #options: EvictorOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #running: Promise<EvictionReport> | undefined;
  #stopped = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#stopped = !options.enabled;
    if (this.#stopped) return;
    this.#timer = setInterval(() => this.#runUnattended(), PERIOD);
    this.#timer.unref();
  }

  /** Looks at the limits in one of the next turns of the event loop. Cheap enough for every write. */
  noteWrite(): void {
    if (this.#soon !== undefined || this.#running !== undefined || this.#stopped) return;
    this.#soon = setImmediate(() => {
      this.#soon = undefined;
      if (this.#isOver()) this.#runUnattended();
    });
    this.#soon.unref();
  }

  /** Makes a pass now, after the one that may be under way. */
  async run(): Promise<EvictionReport> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#running = this.#pass();
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Makes no more passes; resolves when the one under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    clearImmediate(this.#soon);
    await this.#running?.catch(() => undefined);
  }

  #runUnattended(): void {
    if (this.#running === undefined) this.run().catch(this.#options.onError);
  }

  #isOver(): boolean {
    const { stores, limits, threshold, targets } = this.#options;
    // Asking for usage takes as long as storing a small value does.
    const isOver = (who: { usage(): Amounts }, own: Limits): boolean =>
      isLimited(own) && evictionGoal(who.usage(), own, threshold) !== undefined;
    return (
      stores.some((store) => isOver(store, limits)) ||
      targets().some(({ namespace }) => isOver(namespace, namespace.settings))
    );
  }

  async #pass(): Promise<EvictionReport> {
    const { stores, limits, threshold, targets, policy } = this.#options;
    const report = { evicted: 0, bytes: 0, expired: 0 };
    const note = (result: EvictionResult, namespace: string | undefined): void => {
      report.evicted += result.count;
      report.bytes += result.bytes;
      if (result.count > 0) this.#options.onEvict(result, namespace);
    };
    for (const { namespace } of targets()) {
      const expired = await namespace.expire(now());
      report.expired += expired;
      if (expired > 0) this.#options.onExpire(namespace.name, expired);
    }
    for (const { namespace, policy: own } of targets()) {
      for (const store of stores) {
        const goal = evictionGoal(namespace.usage(), namespace.settings, threshold);
        if (goal === undefined) break;
        note(await this.#evict(store, { goal, policy: own, namespaces: [namespace.name] }), namespace.name);
      }
    }
    for (const store of stores) {
      const goal = evictionGoal(store.usage(), limits, threshold);
      if (goal !== undefined) note(await this.#evict(store, { goal, policy }), undefined);
    }
    return report;
  }

  async #evict(
    store: Store,
    task: { goal: EvictionGoal; policy: EvictionPolicy; namespaces?: readonly string[] },
  ): Promise<EvictionResult> {
    const { goal, policy, namespaces } = task;
    using scan = await store.evictionScan({ goal, ...(namespaces && { namespaces }) });
    const scores = new Float64Array(CHUNK);
    for (;;) {
      const columns = await scan.next(CHUNK);
      if (columns === undefined) break;
      scores.fill(0, 0, columns.length);
      scoreWith(policy, columns, now(), scores);
      scan.offer(scores);
      await turn();
    }
    return scan.evict(goal);
  }
}
