/** Computing missing values: what `getOrCompute` does once memory has been asked in vain. */

import { type Duration, parseDuration } from "../shared/units.ts";
import type { Flight } from "../stores/store.ts";
import type { CacheContext } from "./context.ts";
import { swallow } from "./failures.ts";
import { type FlightPlan, Flights } from "./flight.ts";
import type { NamespaceLink } from "./namespace-link.ts";
import type { Found, Reader } from "./reader.ts";
import type { SetOptions, Writer } from "./writer.ts";

/** Options of `getOrCompute`; those of `set` are for the computed value, those of the call that computes it count. */
export interface ComputeOptions extends SetOptions {
  /** This caller waits no longer than this: ERR_QUIVER_TIMEOUT. Default: as long as it takes. */
  readonly timeout?: Duration;
  /** How long to wait for another process that computes the value; then it is computed here as well. Default: 10 minutes. */
  readonly waitTimeout?: Duration;
  /** This caller waits no longer when it is aborted: ERR_QUIVER_ABORTED. When nobody waits any more, the signal that `compute` was given is aborted and nothing is stored. */
  readonly signal?: AbortSignal;
}

export type Compute = (context: { readonly signal: AbortSignal }) => unknown;

const WAIT_TIMEOUT = 10 * 60_000;

export class Computing {
  readonly #context: CacheContext;
  readonly #link: NamespaceLink;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #flights = new Flights();

  constructor(context: CacheContext, link: NamespaceLink, reader: Reader, writer: Writer) {
    this.#context = context;
    this.#link = link;
    this.#reader = reader;
    this.#writer = writer;
  }

  /** Joins the computation of the key that is under way, or begins one. Failures of the cache itself are swallowed. */
  async join(key: string, compute: Compute, options: ComputeOptions): Promise<unknown> {
    const { timeout, signal } = options;
    const patience = {
      timeout: timeout === undefined ? undefined : parseDuration(timeout, "timeout"),
      signal,
    };
    const waitTimeout = parseDuration(options.waitTimeout ?? WAIT_TIMEOUT, "waitTimeout");
    return this.#flights.join(key, () => this.#plan(key, { compute, options, waitTimeout }), patience);
  }

  #plan(key: string, task: { compute: Compute; options: ComputeOptions; waitTimeout: number }): FlightPlan {
    // A caller's signal and patience are its own; the value is stored for all.
    const { signal: _signal, timeout: _timeout, waitTimeout: _waitTimeout, ...setOptions } = task.options;
    let counted = false;
    return {
      load: async () => {
        const found = await this.#orNothing(key, async () =>
          this.#reader.load(await this.#link.open(), this.#link.hot, key),
        );
        if (!counted) this.#count(key, found);
        counted = true;
        return found;
      },
      claim: (signal) => this.#claim(key, task.waitTimeout, signal),
      compute: (signal) => this.#timed(() => task.compute({ signal })),
      store: async (value, fence) => {
        if (this.#isReadOnly()) return;
        await this.#orNothing(key, async () => this.#writer.set(key, value, setOptions, fence));
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

  async #claim(key: string, timeout: number, signal: AbortSignal): Promise<Flight | undefined> {
    if (this.#isReadOnly()) return undefined;
    return this.#orNothing(key, async () => (await this.#link.open()).flight?.(key, { timeout, signal }));
  }

  #isReadOnly(): boolean {
    return this.#context.options.mode === "read-only";
  }

  async #orNothing<R>(key: string, operation: () => Promise<R>): Promise<R | undefined> {
    try {
      return await operation();
    } catch (error) {
      swallow(this.#context, this.#link.name, key, error);
      return undefined;
    }
  }

  #count(key: string, found: Found | undefined): void {
    const { events, tally } = this.#context;
    const counters = tally.of(this.#link.name);
    if (found === undefined) counters.misses++;
    else counters.hits++;
    const name = found === undefined ? "miss" : "hit";
    if (events.has(name)) events.emit(name, { namespace: this.#link.name, key });
  }
}
