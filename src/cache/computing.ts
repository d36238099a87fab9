/** Computing missing values: what `getOrCompute` and memoised functions do once memory has been asked in vain. */

import { RememberedError } from "../codecs/remembered-error.ts";
import { freshnessOf } from "../policy/freshness.ts";
import { now } from "../shared/clock.ts";
import { isQuiverError } from "../shared/errors.ts";
import type { Flight } from "../stores/store.ts";
import { type ComputePlan, looksAtAge } from "./compute-options.ts";
import type { CacheContext } from "./context.ts";
import { type Context, type FlightPlan, Flights } from "./flight.ts";
import type { Guard } from "./guard.ts";
import type { NamespaceLink } from "./namespace-link.ts";
import type { Found, Reader } from "./reader.ts";
import { isSameValue } from "./same-value.ts";
import type { Writer } from "./writer.ts";

export type Compute = (context: Context) => unknown;

/** One way to come to the value of a key. */
export interface Task {
  readonly key: string;
  readonly compute: Compute;
  readonly plan: ComputePlan;
}

/** What a namespace computes with. */
export interface ComputingParts {
  readonly guard: Guard;
  readonly reader: Reader;
  readonly writer: Writer;
}

const PATIENT = { timeout: undefined, signal: undefined } as const;

export class Computing {
  readonly #context: CacheContext;
  readonly #link: NamespaceLink;
  readonly #guard: Guard;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #flights = new Flights();
  /** Flights of those who want the value computed anew, whatever is there or under way. */
  readonly #renewals = new Flights();

  constructor(context: CacheContext, link: NamespaceLink, parts: ComputingParts) {
    this.#context = context;
    this.#link = link;
    this.#guard = parts.guard;
    this.#reader = parts.reader;
    this.#writer = parts.writer;
  }

  /** The value, found or computed by whoever of all who ask is the one to. Failures of the cache itself are swallowed. */
  async join(task: Task, signal: AbortSignal | undefined): Promise<unknown> {
    const { key, plan } = task;
    const patience = { timeout: plan.timeout, signal };
    if (!looksAtAge(plan))
      return delivered(await this.#flights.join(key, () => this.#flight(task), patience));
    const found = await this.#look(key, true);
    const freshness = found === undefined ? "gone" : freshnessOf(found.expiresAt, now(), plan);
    if (found === undefined || freshness === "gone" || found.value instanceof RememberedError) {
      return delivered(await this.#flights.join(key, () => this.#flight(task), patience));
    }
    if (freshness === "graced") return this.#orGraced(task, found, signal);
    this.#count(key, found);
    if (freshness !== "fresh") this.renewInBackground(task, found.createdAt);
    if (freshness === "stale") this.#emitStale(key);
    return found.value;
  }

  /** Computes the value anew, also while it is there, and stores it; callers at the same time share one computation. */
  async renew(task: Task, signal: AbortSignal | undefined): Promise<unknown> {
    const flight = (): FlightPlan => ({ ...this.#flight(task), load: async () => undefined });
    return this.#renewals.join(task.key, flight, { timeout: task.plan.timeout, signal });
  }

  /**
   * Computes the value at every call, as if there were no cache, and counts whether the cache would have given the same.
   * What it has is replaced when it would not.
   */
  async observe(task: Task, signal: AbortSignal | undefined): Promise<unknown> {
    const { key, compute, plan } = task;
    const found = await this.#look(key, false);
    this.#count(key, found);
    const value = await this.#timed(() => compute({ signal: signal ?? new AbortController().signal }));
    const same = found !== undefined && isSameValue(found.value, value);
    if (found !== undefined) this.#countObserved(key, same);
    if (!same) await this.#store(key, value, plan, undefined);
    return value;
  }

  /** Has the value computed anew unless there is one younger than `createdAt`. Failing is warned of; the old value stays. */
  renewInBackground(task: Task, createdAt: number): void {
    const flight = (): FlightPlan => this.#flight(task, { after: createdAt });
    this.#flights.join(task.key, flight, PATIENT).catch((error) => this.#warnOfOld(task.key, error));
  }

  /** Waits for the value as long as the plan says, and falls back on the one within its grace. */
  async #orGraced(task: Task, found: Found, signal: AbortSignal | undefined): Promise<unknown> {
    const { key, plan } = task;
    const patience = { timeout: plan.timeout, signal };
    const flight = this.#flights.join(key, () => this.#flight(task, { after: found.createdAt }), patience);
    try {
      const outcome = await withinSoftTimeout(flight, plan.softTimeout);
      if (outcome !== LATE) return delivered(outcome);
      flight.catch((error) => this.#warnOfOld(key, error));
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#warnOfOld(key, error);
    }
    this.#emitStale(key);
    return found.value;
  }

  /** `after`: there is an old value, made then; only a younger one counts as found, and it outlasts errors. */
  #flight({ key, compute, plan }: Task, old?: { readonly after: number }): FlightPlan {
    let counted = false;
    return {
      load: async () => {
        const found = await this.#look(key, false);
        if (!counted && !old) this.#count(key, found);
        counted = true;
        return old && found && found.createdAt <= old.after ? undefined : found;
      },
      claim: (context) => this.#claim(key, plan.waitTimeout, context),
      compute: (context) => this.#timed(() => compute(context)),
      store: (value, fence) => this.#store(key, value, plan, fence),
      storeError: async (error, fence) => {
        const ttl = old === undefined ? this.#errorTtl(key, plan, error) : undefined;
        if (ttl === undefined) return;
        const set = { ...plan.set, codec: "error", ttl };
        await this.#store(key, new RememberedError(error), { ...plan, set, staleTtl: 0, grace: 0 }, fence);
      },
    };
  }

  async #timed(compute: () => unknown): Promise<unknown> {
    const started = performance.now();
    try {
      return await compute();
    } finally {
      this.#context.latencies.of(this.#link.name).end("compute", started);
    }
  }

  #errorTtl(key: string, plan: ComputePlan, error: unknown): number | undefined {
    try {
      return plan.errorTtl(error);
    } catch (failure) {
      // The caller is to get the error of the function, not that of who judges it.
      this.#guard.swallow(key, failure);
      return undefined;
    }
  }

  #look(key: string, stale: boolean): Promise<Found | undefined> {
    return this.#guard.attempt("read", key, async () =>
      this.#reader.load(await this.#link.open(), this.#link.hot, key, stale),
    );
  }

  async #store(key: string, value: unknown, plan: ComputePlan, fence: number | undefined): Promise<void> {
    if (this.#isReadOnly()) return;
    const staleTtl = Math.max(plan.staleTtl, plan.grace);
    await this.#guard.attempt("write", key, async () => {
      this.#context.checkWritable();
      return this.#writer.set(key, value, plan.set, {
        exact: true,
        staleTtl,
        ...(fence !== undefined && { fence }),
      });
    });
  }

  async #claim(key: string, timeout: number, context: Context): Promise<Flight | undefined> {
    if (this.#isReadOnly()) return undefined;
    const store = await this.#guard.attempt("read", key, () => this.#link.open());
    return this.#guard.claim(key, timeout, async () => store?.flight?.(key, waiting(timeout, context)));
  }

  #isReadOnly(): boolean {
    return this.#context.options.mode === "read-only";
  }

  #count(key: string, found: Found | undefined): void {
    const { events, tally } = this.#context;
    const counters = tally.of(this.#link.name);
    if (found === undefined) counters.misses++;
    else counters.hits++;
    const name = found === undefined ? "miss" : "hit";
    if (events.has(name)) events.emit(name, { namespace: this.#link.name, key });
  }

  #countObserved(key: string, same: boolean): void {
    const { events, tally, logger } = this.#context;
    const { name } = this.#link;
    tally.countObserved(name, same);
    if (events.has("observe")) events.emit("observe", { namespace: name, key, same });
    if (!same) logger.warn(`"${key}" in "${name}" is not what is computed now`, `${name}:observe`);
  }

  #emitStale(key: string): void {
    const { events } = this.#context;
    if (events.has("stale")) events.emit("stale", { namespace: this.#link.name, key });
  }

  #warnOfOld(key: string, error: unknown): void {
    if (isQuiverError(error, "ERR_QUIVER_CLOSED")) return;
    const reason = error instanceof Error ? error.message : String(error);
    const { logger } = this.#context;
    logger.warn(`"${key}" in "${this.#link.name}" stays as it was: ${reason}`, `${this.#link.name}:stale`);
  }
}

/** How long a right to compute is waited for. The signal is made for those who look at it. */
function waiting(
  timeout: number,
  context: Context,
): { readonly timeout: number; readonly signal: AbortSignal } {
  return {
    timeout,
    get signal() {
      return context.signal;
    },
  };
}

/** The value; throws the error that is remembered in its place. */
function delivered(value: unknown): unknown {
  if (value instanceof RememberedError) throw value.error;
  return value;
}

const LATE: unique symbol = Symbol("late");

/** What the flight comes to, or LATE. */
async function withinSoftTimeout(flight: Promise<unknown>, timeout: number | undefined): Promise<unknown> {
  if (timeout === undefined) return flight;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(LATE), timeout);
  });
  return Promise.race([flight, late]).finally(() => clearTimeout(timer));
}
