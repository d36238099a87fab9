/** When calls may begin: so many at once, so many within a minute. */

import { abortable, sleep } from "./wait.ts";

export interface Limits {
  /** Calls at the same time. */
  readonly concurrency: number;
  /** Calls begun within any minute. */
  readonly requests: number;
  /** Texts sent within any minute. */
  readonly texts: number;
}

const MINUTE = 60_000;

/** Lets callers in one after the other, in the order in which they came. */
export class Pace {
  readonly #limits: Limits;
  /** Calls of the last minute, the oldest first. */
  #begun: { readonly at: number; readonly texts: number }[] = [];
  #running = 0;
  readonly #freed = new Set<() => void>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Resolves when a call with so many texts may begin, to what has to be called when it is over. */
  async enter(texts: number, signal: AbortSignal | undefined): Promise<() => void> {
    const turn = this.#last.then(() => this.#wait(texts, signal));
    this.#last = turn.catch(() => undefined);
    await abortable(turn, signal);
    return () => {
      this.#running--;
      for (const wake of this.#freed) wake();
    };
  }

  async #wait(texts: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    while (this.#running >= this.#limits.concurrency) await this.#oneEnds(signal);
    for (let delay = this.#delay(texts); delay > 0; delay = this.#delay(texts)) await sleep(delay, signal);
    this.#running++;
    this.#begun.push({ at: performance.now(), texts });
  }

  #oneEnds(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        this.#freed.delete(wake);
        signal?.removeEventListener("abort", wake);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      this.#freed.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  /** Milliseconds until the minute that ends then has room for one more call; 0 when it has now. */
  #delay(texts: number): number {
    const now = performance.now();
    this.#begun = this.#begun.filter(({ at }) => at > now - MINUTE);
    let requests = this.#begun.length;
    let sent = this.#begun.reduce((sum, call) => sum + call.texts, 0);
    let delay = 0;
    for (const call of this.#begun) {
      if (requests < this.#limits.requests && sent + texts <= this.#limits.texts) break;
      delay = Math.ceil(call.at + MINUTE - now);
      requests--;
      sent -= call.texts;
    }
    return delay;
  }
}
