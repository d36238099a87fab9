/** What a cache tells its listeners. */

import { type Channel, channel } from "node:diagnostics_channel";
import { Emitter } from "../shared/events.ts";
import type { Logger } from "../shared/logger.ts";
import { badOption } from "../shared/options.ts";
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
  /** A value past its expiry was given out. */
  readonly stale: EntryEvent;
  readonly set: EntryEvent & { readonly size: number };
  readonly delete: EntryEvent;
  readonly evict: EvictEvent;
  /** Expired entries were removed, `count` of them. */
  readonly expire: { readonly namespace: string; readonly count: number };
  /** A value was computed although it was there, in a namespace with `observe`; whether it was the same. */
  readonly observe: EntryEvent & { readonly same: boolean };
  /** A failure that no caller was told of, because it counted as a miss. */
  readonly error: { readonly namespace: string; readonly key: string | undefined; readonly error: unknown };
}

const EVENT_NAMES = [
  "hit",
  "miss",
  "set",
  "delete",
  "evict",
  "stale",
  "expire",
  "observe",
  "error",
] as const satisfies readonly (keyof CacheEventMap)[];

/** Throws ERR_QUIVER_BAD_OPTION unless there is such an event and the listener can be called. */
export function checkListener(name: unknown, listener: unknown): void {
  if (!EVENT_NAMES.some((known) => known === name)) {
    throw badOption("the event", name, `one of ${EVENT_NAMES.join(", ")}`);
  }
  checkCallable(listener);
}

/** Throws ERR_QUIVER_BAD_OPTION unless the listener can be called. */
export function checkCallable(listener: unknown): void {
  if (typeof listener !== "function") throw badOption("the listener", listener, "a function");
}

/** What is published to `node:diagnostics_channel`: the event of a listener, and which cache it comes from. */
export type DiagnosticsMessage<Name extends keyof CacheEventMap = keyof CacheEventMap> =
  CacheEventMap[Name] & {
    /** The cache's directory; undefined where a store of the user's own takes its place. */
    readonly path: string | undefined;
  };

/** Channels of the process, `quiver:hit` and so on, for whoever watches all caches without having them in hand. */
const CHANNELS = Object.fromEntries(EVENT_NAMES.map((name) => [name, channel(`quiver:${name}`)])) as Readonly<
  Record<keyof CacheEventMap, Channel>
>;

/** Tells listeners of the cache and subscribers of the channels. An event that nobody waits for need not be made. */
export class CacheEvents extends Emitter<CacheEventMap> {
  readonly #path: string | undefined;
  #heard = false;

  constructor(logger: Logger, path: string | undefined) {
    super(logger);
    this.#path = path;
  }

  /** Whether anybody waits for hits, of which there are millions; costs no look-up. */
  get hits(): boolean {
    return this.#heard || CHANNELS.hit.hasSubscribers;
  }

  override has(name: keyof CacheEventMap): boolean {
    return super.has(name) || CHANNELS[name].hasSubscribers;
  }

  override on<Name extends keyof CacheEventMap>(
    name: Name,
    listener: (event: CacheEventMap[Name]) => void,
  ): () => void {
    const remove = super.on(name, listener);
    this.#heard = super.has("hit");
    return remove;
  }

  override off<Name extends keyof CacheEventMap>(
    name: Name,
    listener: (event: CacheEventMap[Name]) => void,
  ): void {
    super.off(name, listener);
    this.#heard = super.has("hit");
  }

  override emit<Name extends keyof CacheEventMap>(name: Name, event: CacheEventMap[Name]): void {
    super.emit(name, event);
    if (CHANNELS[name].hasSubscribers) CHANNELS[name].publish({ ...event, path: this.#path });
  }
}
