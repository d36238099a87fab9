/** Pages of a listing, handed out one by one. */

import type { Page } from "../stores/store.ts";

function doNothing(): void {}

/**
 * What an async generator over the pages would do, at less than half of its price: what is at hand costs one promise.
 * The page after it is fetched once half of it has been handed out, so that two are in memory at most and whoever stops
 * early has no more than one fetched.
 */
export class Walk<T> implements AsyncIterableIterator<T> {
  readonly #fetch: (after: string | undefined) => Promise<Page<T>>;
  #entries: readonly T[] = [];
  #at = 0;
  /** Where in the page the next one is asked for. */
  #half = -1;
  #next: string | undefined;
  #coming: Promise<Page<T>> | undefined;
  #ended = false;
  /** The last of the calls that wait for a page; those after it wait for their turn. */
  #last: Promise<IteratorResult<T>> | undefined;

  constructor(fetch: (after: string | undefined) => Promise<Page<T>>) {
    this.#fetch = fetch;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#at < this.#entries.length && this.#last === undefined) return Promise.resolve(this.#take());
    const before = this.#last;
    const step = (): Promise<IteratorResult<T>> => this.#step();
    const result = before === undefined ? step() : before.then(step, step);
    this.#last = result;
    const forget = (): void => {
      if (this.#last === result) this.#last = undefined;
    };
    result.then(forget, forget);
    return result;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#end();
    return { value: undefined, done: true };
  }

  #take(): IteratorResult<T> {
    if (this.#at === this.#half) this.#fetchAhead();
    return { value: this.#entries[this.#at++] as T, done: false };
  }

  async #step(): Promise<IteratorResult<T>> {
    while (this.#at === this.#entries.length) {
      if (this.#ended) return { value: undefined, done: true };
      await this.#turnPage();
    }
    return this.#take();
  }

  async #turnPage(): Promise<void> {
    try {
      const { entries, next } = await (this.#coming ?? this.#fetch(this.#next));
      // Whoever returned meanwhile gets nothing more.
      if (this.#ended) return;
      this.#coming = undefined;
      this.#entries = entries;
      this.#at = 0;
      this.#next = next;
      this.#half = next === undefined ? -1 : entries.length >> 1;
      this.#ended = next === undefined;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  #fetchAhead(): void {
    this.#coming = this.#fetch(this.#next);
    // Its failure is told when its page is due.
    this.#coming.catch(doNothing);
  }

  #end(): void {
    this.#ended = true;
    this.#entries = [];
    this.#at = 0;
    this.#coming = undefined;
  }
}
