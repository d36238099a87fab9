/**
 * Between a namespace and its store: how long the store may take, and what becomes of its failures. The cache may only
 * make a program faster; where the program has said so ("miss"), neither an error nor a hang of the cache reaches it.
 */

import { inTime } from "../shared/deadlines.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { formatDuration } from "../shared/units.ts";
import type { Flight } from "../stores/store.ts";
import type { CacheContext } from "./context.ts";
import { isOfTheCaller, swallow } from "./failures.ts";

type Kind = "read" | "write";

export class Guard {
  readonly #context: CacheContext;
  readonly #namespace: string;
  readonly #onError: "throw" | "miss";
  /** Milliseconds; null = as long as it takes. */
  readonly #budget: number | null;
  /** Reads that were given up and have not come back. */
  #lost = 0;
  /** While reads are lost, calls fail at once until then. */
  #retryAt = 0;

  constructor(context: CacheContext, namespace: string, onError: "throw" | "miss") {
    this.#context = context;
    this.#namespace = namespace;
    this.#onError = onError;
    this.#budget = onError === "miss" ? context.options.budget : null;
  }

  /** Whether failures count as misses. */
  get isLenient(): boolean {
    return this.#onError === "miss";
  }

  /**
   * What the user's look-up comes to, or `miss` when the cache fails and nobody is to be troubled. `tooLate` is given what
   * it comes to after its budget.
   */
  async read<R>(
    key: string | undefined,
    miss: R,
    operation: () => R | Promise<R>,
    tooLate?: (result: R) => void,
  ): Promise<R> {
    return this.isLenient ? this.#orMiss("read", key, () => miss, operation, tooLate) : operation();
  }

  /** The same for a change. What is wrong with the call may be thrown at once. */
  write<R>(key: string | undefined, miss: () => R, operation: () => Promise<R>): Promise<R> {
    if (this.isLenient) {
      return this.#orMiss("write", key, miss, () => {
        this.#context.checkWritable();
        return operation();
      });
    }
    this.#context.checkWritable();
    return operation();
  }

  /** The same where no error of the cache is ever the caller's: undefined instead. */
  async attempt<R>(kind: Kind, key: string, operation: () => Promise<R>): Promise<R | undefined> {
    try {
      return await this.#within(kind, operation);
    } catch (error) {
      this.swallow(key, error);
      return undefined;
    }
  }

  /** The right to compute, waited for as long as the caller says and no longer; undefined when it is not to be had. */
  async claim(
    key: string,
    timeout: number,
    claim: () => Promise<Flight | undefined>,
  ): Promise<Flight | undefined> {
    if (this.#isStuck()) return undefined;
    try {
      const latest = this.#budget === null ? null : timeout + this.#budget;
      const flight = await inTime(claim(), latest, () => this.#tooSlow(), releaseLate);
      return flight && { fence: flight.fence, release: () => this.#release(key, flight) };
    } catch (error) {
      // Whoever waited has left; nothing has failed.
      if (!isQuiverError(error, "ERR_QUIVER_ABORTED")) this.swallow(key, error);
      return undefined;
    }
  }

  /** Counts a failure and warns of it. */
  swallow(key: string | undefined, error: unknown): void {
    swallow(this.#context, this.#namespace, key, error);
  }

  async #orMiss<R>(
    kind: Kind,
    key: string | undefined,
    miss: () => R,
    operation: () => R | Promise<R>,
    tooLate?: (result: R) => void,
  ): Promise<R> {
    try {
      return await this.#within(kind, operation, tooLate);
    } catch (error) {
      if (isOfTheCaller(error)) throw error;
      this.swallow(key, error);
      return miss();
    }
  }

  /** Gives the operation its budget. A write that is given up may still be done; a slow one tells nothing of reads. */
  async #within<R>(kind: Kind, operation: () => R | Promise<R>, tooLate?: (result: R) => void): Promise<R> {
    if (this.#isStuck()) throw this.#tooSlow();
    const work = operation();
    if (!(work instanceof Promise)) return work;
    const late = (): Error => {
      if (kind === "read") this.#lose(work);
      return this.#tooSlow();
    };
    return inTime(work, this.#budget, late, tooLate);
  }

  #lose(work: Promise<unknown>): void {
    this.#lost++;
    this.#postpone();
    const back = (): void => {
      this.#lost--;
    };
    work.then(back, back);
  }

  /** Whether the store has not answered and is not to be tried again yet; one call in each budget tries. */
  #isStuck(): boolean {
    if (this.#lost === 0) return false;
    if (performance.now() < this.#retryAt) return true;
    this.#postpone();
    return false;
  }

  #postpone(): void {
    this.#retryAt = performance.now() + (this.#budget ?? 0);
  }

  #tooSlow(): QuiverError {
    const budget = formatDuration(this.#budget ?? 0);
    return new QuiverError("ERR_QUIVER_TIMEOUT", `the cache did not answer within ${budget}`, {
      fix: "Find out what is slow; `budget` says how long the cache may take.",
    });
  }

  #release(key: string, flight: Flight): void {
    try {
      flight.release();
    } catch (error) {
      this.swallow(key, error);
    }
  }
}

function releaseLate(flight: Flight | undefined): void {
  flight?.release();
}
