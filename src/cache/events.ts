/** What a cache tells its listeners. */

import { Emitter } from "../shared/events.ts";
import type { EvictionResult } from "../stores/store.ts";

/** Names an entry. */
export interface EntryEvent {
  readonly namespace: string;
  readonly key: string;
}

/** One batch of evicted entries, however many there were. */
export interface EvictEvent extends EvictionResult {
  /** The namespace whose own limit was passed; undefined when it was the cache's. */
  readonly namespace: string | undefined;
}

/** The name of each event and what its listeners are given. */
export interface CacheEventMap {
  readonly hit: EntryEvent;
  readonly miss: EntryEvent;
  readonly set: EntryEvent & { readonly size: number };
  readonly delete: EntryEvent;
  readonly evict: EvictEvent;
  /** Expired entries were removed, `count` of them. */
  readonly expire: { readonly namespace: string; readonly count: number };
  /** A failure that no caller was told of, because it counted as a miss. */
  readonly error: { readonly namespace: string; readonly key: string | undefined; readonly error: unknown };
}

/** An emitter whose `hits` says without a look-up whether anybody listens to hits, of which there are millions. */
export class CacheEvents extends Emitter<CacheEventMap> {
  hits = false;

  override on<Name extends keyof CacheEventMap>(
    name: Name,
    listener: (event: CacheEventMap[Name]) => void,
  ): () => void {
    const remove = super.on(name, listener);
    this.hits = this.has("hit");
    return remove;
  }

  override off<Name extends keyof CacheEventMap>(
    name: Name,
    listener: (event: CacheEventMap[Name]) => void,
  ): void {
    super.off(name, listener);
    this.hits = this.has("hit");
  }
}
