/** Keys in the order of their UTF-8 bytes, cheap to change between listings. */

import { compareKeys } from "../../shared/keys.ts";

/**
 * A sorted set of keys. Adding and removing cost a constant; what was added since the last listing is sorted
 * and merged in by the next one, so that paging through a large set while it changes stays linear.
 */
export class KeyOrder {
  readonly #isPresent: (key: string) => boolean;
  #sorted: string[] = [];
  #added = new Set<string>();
  #removed = 0;

  /** `isPresent` says whether a key is still in the set; removed keys are dropped from the order later. */
  constructor(isPresent: (key: string) => boolean) {
    this.#isPresent = isPresent;
  }

  /** To be called once for each key that was absent and is now present. */
  add(key: string): void {
    this.#added.add(key);
  }

  /** To be called once for each key that was present and is now absent. */
  remove(key: string): void {
    if (!this.#added.delete(key)) this.#removed++;
  }

  clear(): void {
    this.#sorted = [];
    this.#added.clear();
    this.#removed = 0;
  }

  /** Present keys that start with `prefix` and come after `after`, in order. Do not change the set meanwhile. */
  *keys(prefix: string, after: string | undefined): Generator<string> {
    this.#settle();
    const sorted = this.#sorted;
    const begin = after === undefined || compareKeys(after, prefix) < 0 ? prefix : after;
    for (let index = this.#find(begin); index < sorted.length; index++) {
      const key = sorted[index] as string;
      if (!key.startsWith(prefix)) return;
      if (key !== after && this.#isPresent(key)) yield key;
    }
  }

  /** Brings the sorted keys up to date with what was added, and with removals once they are many. */
  #settle(): void {
    if (this.#added.size === 0 && this.#removed <= this.#sorted.length / 2) return;
    const added = [...this.#added].sort(compareKeys);
    const merged: string[] = [];
    let next = 0;
    for (const key of this.#sorted) {
      while (next < added.length && compareKeys(added[next] as string, key) < 0)
        merged.push(added[next++] as string);
      // A key that was removed and added again stands in both lists; the one from `added` stays.
      if (added[next] !== key && this.#isPresent(key)) merged.push(key);
    }
    while (next < added.length) merged.push(added[next++] as string);
    this.#sorted = merged;
    this.#added.clear();
    this.#removed = 0;
  }

  /** Index of the first sorted key that is not before `key`. */
  #find(key: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#sorted[middle] as string, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
