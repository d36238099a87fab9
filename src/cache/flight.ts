/** Single flight: of all who ask for a missing value at the same time, in this process or another, one computes it. */

import { QuiverError } from "../shared/errors.ts";
import { formatDuration } from "../shared/units.ts";
import type { Flight } from "../stores/store.ts";
import { aborted } from "./failures.ts";
import type { Found } from "./reader.ts";

/** What those who compute are given. */
export interface Context {
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}

/** What computing and keeping a value needs. None of the functions but `compute` may reject. */
export interface FlightPlan {
  /** undefined = missing, or not to be had. */
  load(): Promise<Found | undefined>;
  /** The right to compute among processes; undefined = go on without. */
  claim(context: Context): Promise<Flight | undefined>;
  compute(context: Context): unknown;
  store(value: unknown, fence: number | undefined): Promise<void>;
  /** `compute` has failed; for those who want that remembered. */
  storeError(error: unknown, fence: number | undefined): Promise<void>;
}

/** How long one caller waits. */
export interface Patience {
  readonly timeout: number | undefined;
  readonly signal: AbortSignal | undefined;
}

interface Shared {
  readonly result: Promise<unknown>;
  readonly ending: Ending;
  waiting: number;
}

export class Flights {
  readonly #underWay = new Map<string, Shared>();

  /**
   * The value of the flight that is under way for the key, or of a new one. A caller that has had enough leaves
   * with ERR_QUIVER_ABORTED or ERR_QUIVER_TIMEOUT; the flight goes on for the others, and is aborted and forgotten
   * when the last one has left.
   */
  join(key: string, plan: () => FlightPlan, patience: Patience): Promise<unknown> {
    if (patience.signal?.aborted) return Promise.reject(aborted(patience.signal, `waiting for "${key}"`));
    const shared = this.#underWay.get(key) ?? this.#start(key, plan());
    if (patience.signal === undefined && patience.timeout === undefined) {
      // Never leaves, so that the flight is never aborted.
      shared.waiting = Number.POSITIVE_INFINITY;
      return shared.result;
    }
    shared.waiting++;
    return this.#await(key, shared, patience);
  }

  #start(key: string, plan: FlightPlan): Shared {
    const ending = new Ending();
    const result = fly(plan, ending);
    const shared: Shared = { result, ending, waiting: 0 };
    this.#underWay.set(key, shared);
    const land = (): void => this.#forget(key, shared);
    result.then(land, land);
    return shared;
  }

  #forget(key: string, shared: Shared): void {
    if (this.#underWay.get(key) === shared) this.#underWay.delete(key);
  }

  #await(key: string, shared: Shared, { timeout, signal }: Patience): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const leave = (error: QuiverError): void => {
        settle();
        reject(error);
        if (--shared.waiting > 0) return;
        this.#forget(key, shared);
        shared.ending.abort(error);
      };
      const onAbort = (): void => leave(aborted(signal as AbortSignal, `waiting for "${key}"`));
      signal?.addEventListener("abort", onAbort, { once: true });
      if (timeout !== undefined) {
        const message = `"${key}" was not computed within ${formatDuration(timeout)}`;
        timer = setTimeout(() => leave(new QuiverError("ERR_QUIVER_TIMEOUT", message, { key })), timeout);
        timer.unref();
      }
      void shared.result.then(resolve, reject).finally(settle);
    });
  }
}

/** The end of a flight before its time. Its signal is made when it is asked for: that takes longer than a look-up. */
class Ending {
  /** Of its own so that it may be copied with others into the options of a call. */
  readonly context: Context;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor() {
    const signal = (): AbortSignal => this.#signal();
    this.context = {
      get signal() {
        return signal();
      },
    };
  }

  get isAborted(): boolean {
    return this.#reason !== undefined;
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }
}

async function fly(plan: FlightPlan, ending: Ending): Promise<unknown> {
  const present = await plan.load();
  if (present !== undefined) return present.value;
  ending.throwIfAborted();
  const claim = await plan.claim(ending.context);
  try {
    // Whoever had the claim before may have computed it.
    const meanwhile = claim === undefined ? undefined : await plan.load();
    if (meanwhile !== undefined) return meanwhile.value;
    ending.throwIfAborted();
    const value = await computed(plan, ending, claim?.fence);
    if (!ending.isAborted) await plan.store(value, claim?.fence);
    return value;
  } finally {
    claim?.release();
  }
}

async function computed(plan: FlightPlan, ending: Ending, fence: number | undefined): Promise<unknown> {
  try {
    return await plan.compute(ending.context);
  } catch (error) {
    if (!ending.isAborted) await plan.storeError(error, fence);
    throw error;
  }
}
