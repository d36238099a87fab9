/** Runs the operations on one key one after the other, in the order they were asked for. */
export class KeyQueue {
  /** The last operation of each key that has one under way; never rejects. */
  readonly #tails = new Map<string, Promise<void>>();

  /** Whether nothing is under way on the key, so that `run` starts at once. */
  isIdle(key: string): boolean {
    return !this.#tails.has(key);
  }

  /** Settles when what was under way on the key at the time of the call is done. */
  async idle(key: string): Promise<void> {
    await this.#tails.get(key);
  }

  /** Starts `operation` within this call when the key is idle, otherwise after what is under way. */
  run<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const result = before === undefined ? operation() : before.then(operation);
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }
}
