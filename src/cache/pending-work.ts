/** Work that is under way and that closing waits for. */

export class PendingWork {
  readonly #work = new Set<Promise<unknown>>();

  /** Remembers `work` until it settles; returns it. */
  add<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work);
    const forget = (): void => {
      this.#work.delete(work);
    };
    work.then(forget, forget);
    return work;
  }

  /** Settles when everything that was added has, what is added meanwhile included. Never rejects. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }
}
