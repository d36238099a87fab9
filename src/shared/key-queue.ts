/** Call order of the operations on one key. */

interface Pending {
  /** How many operations are under way. */
  count: number;
  /** The last write; never rejects. */
  write: Promise<void> | undefined;
  /** That write and the reads called after it; never rejects. */
  all: Promise<void>;
  /** Ends the first write, where that is one of a `Hold`. */
  readonly release: (() => void) | undefined;
}

/**
 * Writes on several keys. No promise is made for one unless something comes after it, and as long as nothing does, all
 * that is kept for it is its key.
 */
export interface Hold {
  /** Begins a write on a key that is idle. */
  add(key: string): void;
  /** One of them has ended. The keys are let go together, when all have. */
  end(): void;
}

const NOTHING_BEFORE = Promise.resolve();

/**
 * Runs writes on one key one after the other, in the order they were called; reads run together, each after the
 * writes called before it and before those called after it. What finds its key free starts within the call.
 */
export class KeyQueue {
  /** What is under way on each; for a write of a hold that nothing has come after, the hold. */
  readonly #keys = new Map<string, Pending | Hold>();

  /** Whether nothing is under way on the key. */
  isIdle(key: string): boolean {
    return !this.#keys.has(key);
  }

  /** Begins writes whose keys are named one by one. */
  hold(): Hold {
    let keys: string[] = [];
    let left = 0;
    const hold: Hold = {
      add: (key) => {
        this.#keys.set(key, hold);
        keys.push(key);
        left++;
      },
      end: () => {
        left--;
        if (left > 0) return;
        for (const key of keys) this.#letGo(key, hold);
        keys = [];
      },
    };
    return hold;
  }

  #letGo(key: string, hold: Hold): void {
    const pending = this.#keys.get(key);
    if (pending === hold) this.#keys.delete(key);
    else if (isPending(pending)) {
      pending.release?.();
      this.#leave(key, pending);
    }
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
    const found = this.#keys.get(key);
    if (isPending(found)) {
      found.count++;
      return found;
    }
    const pending = found === undefined ? firstOnKey() : afterHold();
    this.#keys.set(key, pending);
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

function isPending(found: Pending | Hold | undefined): found is Pending {
  return found !== undefined && "count" in found;
}

function firstOnKey(): Pending {
  return { count: 1, write: undefined, all: NOTHING_BEFORE, release: undefined };
}

/** The write of a hold, and what comes after it. */
function afterHold(): Pending {
  let release: (() => void) | undefined;
  const write = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { count: 2, write, all: write, release };
}
