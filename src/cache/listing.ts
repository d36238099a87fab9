/** Walking over all entries of a namespace, page by page. */

import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import type { Counters } from "../stores/counters.ts";
import type { EntryFacts, ListQuery, Page, StoreNamespace } from "../stores/store.ts";
import { hitRate, type Statistics } from "./statistics.ts";
import { Walk } from "./walk.ts";

/** Entries fetched at a time. */
const PAGE = 1000;

/** Which entries a listing has. */
export interface ListOptions {
  /** Only keys that begin so. */
  readonly prefix?: string;
}

const LIST_OPTIONS: OptionNames<ListOptions> = { prefix: true };

/** Fetches one page. Called for each, so that a walk ends with ERR_QUIVER_CLOSED when the cache is closed meanwhile. */
type List<T> = (query: ListQuery) => Promise<Page<T>>;

/** Walks over what `list` gives, a page at a time. Wrong options reject when the first page is asked for. */
export function walk<T>(list: List<T>, options: ListOptions): AsyncIterableIterator<T> {
  return new Walk(async (after) => {
    checkOptions(options, LIST_OPTIONS);
    const { prefix } = options;
    if (prefix !== undefined && typeof prefix !== "string") throw badOption("prefix", prefix, "a text");
    return list({
      limit: PAGE,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after }),
    });
  });
}

/** A page of pairs of key and facts. */
export async function pairsOf(store: StoreNamespace, query: ListQuery): Promise<Page<[string, EntryFacts]>> {
  const { entries, next } = await store.list(query);
  return { entries: entries.map((facts) => [facts.key, facts]), next };
}

/** A page of keys, without facts where the store can do so. */
export async function keysOf(store: StoreNamespace, query: ListQuery): Promise<Page<string>> {
  if (store.listKeys !== undefined) return store.listKeys(query);
  const { entries, next } = await store.list(query);
  return { entries: entries.map(({ key }) => key), next };
}

/** A namespace in numbers. Looks at every entry. */
export async function measure(store: StoreNamespace, counters: Readonly<Counters>): Promise<Statistics> {
  let oldestAccess: number | null = null;
  let newestAccess: number | null = null;
  for await (const { lastAccessed } of walk((query) => store.list(query), {})) {
    oldestAccess = Math.min(oldestAccess ?? lastAccessed, lastAccessed);
    newestAccess = Math.max(newestAccess ?? lastAccessed, lastAccessed);
  }
  return { ...store.usage(), ...counters, hitRate: hitRate(counters), oldestAccess, newestAccess };
}
