/** Call order of the operations on one key. */

interface Pending {
  /** How many operations are under way. */
  count: number;
  /** The last write; never rejects. */
  write: Promise<void> | undefined;
  /** That write and the reads called after it; never rejects. */
  all: Promise<void>;
  /** Present while the key is held and nobody has asked yet when that ends. */
  held: boolean;
  /** Tells those who wait for who holds the key. */
  release: (() => void) | undefined;
}

/** A write on several keys. */
export interface Hold {
  /** Adds a key that is idle. */
  add(key: string): void;
  /** Ends the write on all of them. To be called once. */
  end(): void;
}

const NOTHING_BEFORE = Promise.resolve();

/**
 * Runs writes on one key one after the other, in the order they were called; reads run together, each after the
 * writes called before it and before those called after it. What finds its key free starts within the call.
 */
export class KeyQueue {
  readonly #keys = new Map<string, Pending>();
  /** Those that stand for several keys, of which nothing has come after any. */
  readonly #shared = new Set<Pending>();

  /** Whether nothing is under way on the key. */
  isIdle(key: string): boolean {
    return !this.#keys.has(key);
  }

  /**
   * Begins a write on a key that is idle; it ends when the returned function is called, once. No promise is made for
   * it unless something comes after it.
   */
  hold(key: string): () => void {
    const pending = this.#enter(key);
    pending.held = true;
    return () => {
      pending.held = false;
      pending.release?.();
      this.#leave(key, pending);
    };
  }

  /** The same for several keys, which are named by and by; they end together. */
  holdAll(): Hold {
    const shared = pendingWrite();
    this.#shared.add(shared);
    const keys: string[] = [];
    return {
      add: (key) => {
        this.#keys.set(key, shared);
        keys.push(key);
      },
      end: () => {
        this.#shared.delete(shared);
        for (const key of keys) {
          const pending = this.#keys.get(key);
          if (pending === shared) this.#keys.delete(key);
          else if (pending !== undefined) {
            pending.release?.();
            this.#leave(key, pending);
          }
        }
      },
    };
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
    let pending = this.#keys.get(key);
    if (pending === undefined) {
      pending = { count: 0, write: undefined, all: NOTHING_BEFORE, held: false, release: undefined };
      this.#keys.set(key, pending);
    } else if (pending.held) {
      if (this.#shared.has(pending)) {
        pending = pendingWrite();
        this.#keys.set(key, pending);
      }
      pending.held = false;
      pending.write = new Promise((resolve) => {
        (pending as Pending).release = resolve;
      });
      pending.all = pending.write;
    }
    pending.count++;
    return pending;
  }

  #leave(key: string, pending: Pending): void {
    pending.count--;
    if (pending.count === 0) this.#keys.delete(key);
  }

  /** Resolves when the operation has ended in whatever way and is counted no more. */
  #leaveAfter(key: string, pending: Pending, result: Promise<unknown>): Promise<void> {
    const leave = (): void => this.#leave(key, pending);
    return result.then(leave, leave);
  }
}

/** A write that is under way and that nothing has come after. */
function pendingWrite(): Pending {
  return { count: 1, write: undefined, all: NOTHING_BEFORE, held: true, release: undefined };
}
