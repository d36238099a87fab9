/** Walking over all entries of a namespace, page by page. */

import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import type { Counters } from "../stores/counters.ts";
import type { EntryFacts, Page, StoreNamespace } from "../stores/store.ts";
import { hitRate, type Statistics } from "./statistics.ts";

/** Entries fetched at a time. */
const PAGE = 1000;

/** Which entries a listing has. */
export interface ListOptions {
  /** Only keys that begin so. */
  readonly prefix?: string;
}

const LIST_OPTIONS: OptionNames<ListOptions> = { prefix: true };

/** Fetches one page. Called for each, so that a walk ends with ERR_QUIVER_CLOSED when the cache is closed meanwhile. */
type List = (...query: Parameters<StoreNamespace["list"]>) => Promise<Page>;

export async function* allEntries(
  list: List,
  options: ListOptions,
): AsyncGenerator<[key: string, info: EntryFacts]> {
  for await (const page of pages(list, options)) {
    for (const entry of page.entries) yield [entry.key, entry];
  }
}

export async function* keysWithPrefix(list: List, options: ListOptions): AsyncGenerator<string> {
  for await (const page of pages(list, options)) {
    for (const entry of page.entries) yield entry.key;
  }
}

/** A namespace in numbers. Looks at every entry. */
export async function measure(store: StoreNamespace, counters: Readonly<Counters>): Promise<Statistics> {
  let oldestAccess: number | null = null;
  let newestAccess: number | null = null;
  for await (const page of pages((query) => store.list(query), {})) {
    for (const { lastAccessed } of page.entries) {
      oldestAccess = Math.min(oldestAccess ?? lastAccessed, lastAccessed);
      newestAccess = Math.max(newestAccess ?? lastAccessed, lastAccessed);
    }
  }
  return { ...store.usage(), ...counters, hitRate: hitRate(counters), oldestAccess, newestAccess };
}

async function* pages(list: List, options: ListOptions): AsyncGenerator<Page> {
  checkOptions(options, LIST_OPTIONS);
  const { prefix } = options;
  if (prefix !== undefined && typeof prefix !== "string") throw badOption("prefix", prefix, "a text");
  let after: string | undefined;
  do {
    const page = await list({
      limit: PAGE,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after }),
    });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
