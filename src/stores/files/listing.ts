/** Keys in order, remembered from one page of a listing to the next, so that not each page walks over all files. */

/** Milliseconds after which other processes may have added so much that a listing starts anew. */
const KEPT_FOR = 10_000;

export class Listing {
  #rest: { prefix: string; after: string; keys: readonly string[]; until: number } | undefined;

  /** The keys that follow `after`, if that is where the last page ended. */
  take(prefix: string, after: string | undefined): readonly string[] | undefined {
    const rest = this.#rest;
    if (rest === undefined || rest.prefix !== prefix || rest.after !== after) return undefined;
    this.#rest = undefined;
    return performance.now() < rest.until ? rest.keys : undefined;
  }

  /** Keeps what follows a page. */
  keep(prefix: string, after: string, keys: readonly string[]): void {
    this.#rest = { prefix, after, keys, until: performance.now() + KEPT_FOR };
  }

  /** There is a new key. */
  forget(): void {
    this.#rest = undefined;
  }
}
