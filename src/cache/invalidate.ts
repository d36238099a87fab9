/** Removing entries across namespaces. */

import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import type { Namespace } from "./namespace.ts";

/** What to remove: all of a namespace, or in it, or in all namespaces, what one of the others names. */
export interface Selection {
  readonly namespace?: string;
  /** Entries whose keys begin so. */
  readonly prefix?: string;
  /** Entries that carry the tag. */
  readonly tag?: string;
  readonly key?: string;
}

const SELECTION: OptionNames<Selection> = { namespace: true, prefix: true, tag: true, key: true };

/** What invalidating needs of a cache. */
export interface Invalidatable {
  namespaces(): Promise<readonly string[]>;
  namespace(name: string): Namespace;
  deleteByTag(namespace: string, tag: string): Promise<number>;
}

/** How many entries were removed. Throws ERR_QUIVER_BAD_OPTION for a selection of nothing, or by several marks at once. */
export async function invalidate(cache: Invalidatable, selection: Selection): Promise<number> {
  checkOptions(selection, SELECTION, "the selection");
  const { namespace, prefix, tag, key } = selection;
  const marks = [prefix, tag, key].filter((mark) => mark !== undefined);
  if (marks.length > 1 || (marks.length === 0 && namespace === undefined)) {
    throw new QuiverError(
      "ERR_QUIVER_BAD_OPTION",
      "invalidate needs a namespace, or one of prefix, tag and key",
      {
        fix: "Give { namespace }, or one of { prefix }, { tag } and { key }, alone or with a namespace.",
      },
    );
  }
  const known = await cache.namespaces();
  const names = namespace === undefined ? known : known.filter((name) => name === namespace);
  let removed = 0;
  for (const name of names) {
    const entries = cache.namespace(name);
    if (tag !== undefined) removed += await cache.deleteByTag(name, tag);
    else if (key !== undefined) removed += (await entries.delete(key)) ? 1 : 0;
    else if (prefix !== undefined) removed += await entries.deleteByPrefix(prefix);
    else removed += await entries.clear();
  }
  return removed;
}
