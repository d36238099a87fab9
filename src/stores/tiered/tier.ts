/** One tier's part of a namespace, and what it is owed: removals that it was not there for. */

import { now } from "../../shared/clock.ts";
import type { NewFacts, StoreNamespace } from "../store.ts";

/** Beyond this many keys the whole tier is emptied instead. */
const LARGEST_DEBT = 10_000;

/**
 * A tier that fails while a key is written or removed elsewhere keeps a value that must not come back. The key is
 * owed to it: its value there is not looked at until it has been removed. Debts are this process's and end with it.
 */
export class Tier {
  readonly target: StoreNamespace;
  /** Milliseconds for which a value here is believed without asking further down; null = until it expires. */
  readonly maxAge: number | null;
  readonly #owed = new Set<string>();
  #owesAll = false;

  constructor(target: StoreNamespace, maxAge: number | null) {
    this.target = target;
    this.maxAge = maxAge;
  }

  /** Whether nothing is owed for the key, so that its value here counts. */
  isClean(key: string): boolean {
    return !this.#owesAll && !this.#owed.has(key);
  }

  /** Runs an operation on the key once what is owed has been removed. Rejects when either fails. */
  async on<T>(key: string, operation: (target: StoreNamespace) => Promise<T>): Promise<T> {
    if (!this.isClean(key)) await this.#settle(key);
    return operation(this.target);
  }

  /** Runs a change of the key; if it fails, whatever the tier has under the key is void. */
  async change<T>(key: string, operation: (target: StoreNamespace) => Promise<T>): Promise<T> {
    try {
      return await this.on(key, operation);
    } catch (error) {
      this.#owe(key);
      throw error;
    }
  }

  /** Runs a change of many keys; if it fails, whatever the tier has is void. */
  async changeAll<T>(operation: (target: StoreNamespace) => Promise<T>): Promise<T> {
    try {
      await this.settle();
      return await operation(this.target);
    } catch (error) {
      this.#owesAll = true;
      throw error;
    }
  }

  /** Removes everything that is owed. */
  async settle(): Promise<void> {
    if (this.#owesAll) await this.#settle("");
    for (const key of this.#owed) await this.#settle(key);
  }

  /** Facts for a copy here, which is believed no longer than `maxAge`. */
  factsOfCopy(facts: NewFacts): NewFacts {
    const { fence: _, staleUntil: __, ...own } = facts;
    if (this.maxAge === null) return own;
    const believed = now() + this.maxAge;
    return { ...own, expiresAt: Math.min(believed, own.expiresAt ?? believed) };
  }

  #owe(key: string): void {
    this.#owed.add(key);
    if (this.#owed.size > LARGEST_DEBT) this.#owesAll = true;
  }

  async #settle(key: string): Promise<void> {
    if (this.#owesAll) {
      await this.target.clear();
      this.#owesAll = false;
      this.#owed.clear();
    } else {
      await this.target.delete(key);
      this.#owed.delete(key);
    }
  }
}
