/** Call order of the operations on one key. */

interface Pending {
  /** How many operations are under way. */
  count: number;
  /** The last write; never rejects. */
  write: Promise<void> | undefined;
  /** That write and the reads called after it; never rejects. */
  all: Promise<void>;
}

const NOTHING_BEFORE = Promise.resolve();

/**
 * Runs writes on one key one after the other, in the order they were called; reads run together, each after the
 * writes called before it and before those called after it. What finds its key free starts within the call.
 */
export class KeyQueue {
  readonly #keys = new Map<string, Pending>();

  /** Whether nothing is under way on the key. */
  isIdle(key: string): boolean {
    return !this.#keys.has(key);
  }

  read<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const pending = this.#enter(key);
    const result = pending.write === undefined ? operation() : pending.write.then(operation);
    const left = this.#leaveAfter(key, pending, result);
    // In sequence, so that reads that overlap without end hold on to nothing of those that have ended.
    pending.all = pending.all.then(() => left);
    return result;
  }

  write<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const pending = this.#enter(key);
    const result = pending.count === 1 ? operation() : pending.all.then(operation);
    pending.write = this.#leaveAfter(key, pending, result);
    pending.all = pending.write;
    return result;
  }

  #enter(key: string): Pending {
    const pending = this.#keys.get(key) ?? { count: 0, write: undefined, all: NOTHING_BEFORE };
    this.#keys.set(key, pending);
    pending.count++;
    return pending;
  }

  /** Resolves when the operation has ended in whatever way and is counted no more. */
  #leaveAfter(key: string, pending: Pending, result: Promise<unknown>): Promise<void> {
    const leave = () => {
      pending.count--;
      if (pending.count === 0) this.#keys.delete(key);
    };
    return result.then(leave, leave);
  }
}
