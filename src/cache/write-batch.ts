/** Values of one call that are written together: as far as the store takes them so, with one promise for all. */

import type { EntryFacts, StoreBatch, StoreNamespace } from "../stores/store.ts";

/** What a batch holds at most: so many small values, of which the store takes a request to be short work. */
const MOST = 512;
/** As how many small values a larger one counts, or one of which nobody knows yet how large it is. */
const LARGE = 16;
/** Bytes of a small one. */
export const SMALL: number = 16 * 1024;

/** A store that writes values together. */
export type BatchingStore = StoreNamespace & Required<Pick<StoreNamespace, "batch">>;

export function canBatch(store: StoreNamespace): store is BatchingStore {
  return store.batch !== undefined;
}

/** A value that is written by itself. */
export interface Single {
  /** Bytes; infinite where that is not known. */
  readonly size: number;
  readonly stored: Promise<EntryFacts>;
}

export interface WriteBatchParts<Options> {
  readonly store: StoreBatch;
  /** Adds a value to the store's batch, or begins to write it by itself. Throws what is wrong with the call. */
  readonly write: (key: string, value: unknown, options: Options) => Single | undefined;
  /** Takes note of values that the store's batch has stored. */
  readonly stored: (facts: readonly EntryFacts[]) => void;
}

export class WriteBatch<Options> {
  readonly #parts: WriteBatchParts<Options>;
  /** In the order of the calls; undefined for those in the store's batch. */
  readonly #singles: (Promise<EntryFacts> | undefined)[] = [];
  #load = 0;
  #failure: Failure | undefined;

  constructor(parts: WriteBatchParts<Options>) {
    this.#parts = parts;
  }

  get isFull(): boolean {
    return this.#load >= MOST;
  }

  add(key: string, value: unknown, options: Options): void {
    const single = this.#parts.write(key, value, options);
    if (single !== undefined) this.addSingle(single);
    else {
      this.#load++;
      this.#singles.push(undefined);
    }
  }

  /** Waits for a value that is written by itself. */
  addSingle({ size, stored }: Single): void {
    this.#load += size > SMALL ? LARGE : 1;
    // It may fail before anybody waits for it.
    stored.catch(() => undefined);
    this.#singles.push(stored);
  }

  /** Nothing follows: this went wrong. */
  fail(reason: unknown): void {
    this.#failure = new Failure(reason);
  }

  /** Facts in the order of the calls, once all have ended; rejects with the first failure. To be called once. */
  async ended(): Promise<EntryFacts[]> {
    const together = await this.#parts.store.ended();
    this.#parts.stored(together.filter(isStored));
    let next = 0;
    const results: EntryFacts[] = [];
    for (const single of this.#singles) {
      const answer = single === undefined ? together[next++] : await single.catch(asFailure);
      if (answer instanceof Failure) this.#failure ??= answer;
      else if (answer instanceof Error) this.#failure ??= new Failure(answer);
      else if (answer !== undefined) results.push(answer);
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    return results;
  }
}

function isStored(answer: EntryFacts | Error): answer is EntryFacts {
  return !(answer instanceof Error);
}

class Failure {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }
}

function asFailure(reason: unknown): Failure {
  return new Failure(reason);
}
