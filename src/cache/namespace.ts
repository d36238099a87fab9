/** A named part of a cache: an asynchronous Map with facts about its entries. */

import type { Readable } from "node:stream";
import { RememberedError } from "../codecs/remembered-error.ts";
import { expiryOf } from "../policy/ttl.ts";
import { now } from "../shared/clock.ts";
import { QuiverError } from "../shared/errors.ts";
import { checkKey } from "../shared/keys.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { type Duration, parseDuration } from "../shared/units.ts";
import type { Counters } from "../stores/counters.ts";
import type {
  EntryFacts,
  ListQuery,
  NamespaceSettings,
  Page,
  PathLease,
  StoreNamespace,
} from "../stores/store.ts";
import { mapBounded } from "./bounded.ts";
import { type ComputeOptions, planOf } from "./compute-options.ts";
import { Computing, type Task } from "./computing.ts";
import type { CacheContext } from "./context.ts";
import { isOfTheCaller } from "./failures.ts";
import { Guard } from "./guard.ts";
import type { NamespaceLatencies } from "./latencies.ts";
import { keysOf, type ListOptions, measure, pairsOf, walk } from "./listing.ts";
import { type Memoizable, type MemoizedOf, type Memoizee, type MemoizeOptions, memoize } from "./memoize.ts";
import type { NamespaceLink } from "./namespace-link.ts";
import { callable, count, flag, integer, iterable } from "./option-readers.ts";
import type { ResolvedNamespaceOptions } from "./options.ts";
import { privateCopy } from "./private-copy.ts";
import { type Found, NOTHING, Reader } from "./reader.ts";
import type { Statistics } from "./statistics.ts";
import { type ByteRange, type ByteStream, isByteStream, readStream } from "./streams.ts";
import { type BatchingStore, canBatch, SMALL, type WriteBatch } from "./write-batch.ts";
import { NO_SET_OPTIONS, plainMetadata, plainTags, SET_OPTIONS, type SetOptions, Writer } from "./writer.ts";

/** Facts about an entry. Times are wall-clock milliseconds, `size` is that of the stored bytes. */
export type EntryInfo = EntryFacts;

/** Options of `get`. */
export interface GetOptions {
  /** The number of a replaced value that is still kept; see the setting `versions`. */
  readonly version?: number;
  /** Gives a value of your own, that may be written to, at the price of the copy. Default: false. */
  readonly copy?: boolean;
}

/** Changes to an entry that leave its value as it is. What is left out stays. */
export interface TouchOptions {
  /** Counted from now; null = for ever. */
  readonly ttl?: Duration | null;
  readonly priority?: number;
  readonly tags?: readonly string[];
  /** Replaces all of it; null removes it. */
  readonly metadata?: Readonly<Record<string, unknown>> | null;
}

const GET_OPTIONS: OptionNames<GetOptions> = { version: true, copy: true };

const TOUCH_OPTIONS: OptionNames<TouchOptions> = { ttl: true, priority: true, tags: true, metadata: true };

/** Keys read or written at the same time by the methods that take many. */
const TOGETHER = 64;

/** Batches that are written at the same time, so that one can be prepared while another is on its way. */
const BATCHES = 2;

/** Small values written by stores that have no batches: those under way are committed together, and a durable commit is one flush for all. */
const SMALL_TOGETHER = 256;

const NO_PAGE: Page<never> = { entries: [], next: undefined };

/**
 * Values that are read are shared: objects are frozen, and bytes and tensors are views that must not be written to.
 * Reads see what has been acknowledged; writes to one key take effect in the order of the calls.
 *
 * Every method rejects with ERR_QUIVER_BAD_KEY for what can't be a key and with ERR_QUIVER_CLOSED after close. With
 * `onError: "miss"` failures of the cache itself, and that it takes longer than `budget`, are warned of and counted, and
 * the call acts as if nothing were stored; a computation is also made when the cache has been closed.
 */
export class Namespace<T = unknown> {
  readonly name: string;
  readonly #context: CacheContext;
  readonly #guard: Guard;
  readonly #observes: boolean;
  readonly #link: NamespaceLink;
  readonly #counters: Counters;
  readonly #latencies: NamespaceLatencies;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #computing: Computing;

  /** Made by `cache.namespace()`. */
  constructor(context: CacheContext, options: ResolvedNamespaceOptions, link: NamespaceLink) {
    this.name = link.name;
    this.#context = context;
    this.#guard = new Guard(context, link.name, options.onError);
    this.#observes = options.observe;
    this.#link = link;
    this.#counters = context.tally.of(link.name);
    this.#latencies = context.latencies.of(link.name);
    this.#reader = new Reader(context.codecs, { verify: context.options.verify, objects: options.objects });
    this.#writer = new Writer(context, link.name, options, link);
    this.#computing = new Computing(context, link, {
      guard: this.#guard,
      reader: this.#reader,
      writer: this.#writer,
    });
  }

  /** The settings that are in force; undefined until the namespace has been opened by a first operation. */
  get settings(): NamespaceSettings | undefined {
    return this.#link.current?.settings;
  }

  /**
   * Stores a value, or the bytes that a stream brings, in place of what the key had. The value is taken as it is at
   * the time of the call. Resolves when it is as durable as the store promises. Rejects with ERR_QUIVER_BAD_VALUE
   * for what no codec or not the named one can hold, and with ERR_QUIVER_TOO_LARGE for more than a limit allows.
   */
  set(key: string, value: T | ByteStream, options: SetOptions = NO_SET_OPTIONS): Promise<EntryInfo> {
    // Each promise on the way would take as long as storing a small value does.
    try {
      this.#check(key);
      checkOptions(options, SET_OPTIONS);
      return this.#guard.write(
        key,
        () => unstored(key),
        () =>
          isByteStream(value)
            ? this.#writer.stream(key, value, options)
            : this.#writer.set(key, value, options),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The same without a promise: the thread waits until the value is as durable as the store promises, half a
   * millisecond or more where that means syncs. Throws ERR_QUIVER_UNSUPPORTED where the store or the codec has no
   * synchronous form, before the first operation has opened the namespace, and while another write of the key is
   * under way.
   */
  setSync(key: string, value: T, options: SetOptions = NO_SET_OPTIONS): EntryInfo {
    this.#check(key);
    checkOptions(options, SET_OPTIONS);
    try {
      this.#context.checkWritable();
      return this.#writer.setSync(key, value, options);
    } catch (error) {
      if (!this.#guard.isLenient || isOfTheCaller(error)) throw error;
      this.#guard.swallow(key, error);
      return unstored(key);
    }
  }

  /** The value, or undefined when there is none or it has expired. A hit in memory costs a resolved promise. */
  get(key: string, options?: GetOptions): Promise<T | undefined> {
    if (options !== undefined) return this.#getAs(key, options);
    const held = this.#link.hot.find(key);
    if (held !== undefined) {
      this.#noteHit(key);
      return Promise.resolve(held.value as T);
    }
    return this.#get(key, undefined);
  }

  /** The same without a promise, for local and memory stores; throws ERR_QUIVER_UNSUPPORTED elsewhere. */
  getSync(key: string): T | undefined {
    const held = this.#link.hot.find(key);
    if (held !== undefined) {
      this.#noteHit(key);
      return held.value as T;
    }
    return this.#getSync(key);
  }

  /** Whether there is a value that has not expired. Counts neither as a hit nor as a use. */
  async has(key: string): Promise<boolean> {
    this.#check(key);
    if (this.#link.hot.find(key) !== undefined) return true;
    return this.#guard.read(key, false, async () => (await this.#link.open()).has(key));
  }

  /** Removes an entry and its kept versions; whether there was one. */
  async delete(key: string): Promise<boolean> {
    this.#check(key);
    const started = performance.now();
    const deleted = await this.#guard.write(
      key,
      () => false,
      () => this.#writer.change(key, (store) => store.delete(key)),
    );
    this.#latencies.end("delete", started);
    if (deleted) this.#noteDeleted(key);
    return deleted;
  }

  /** Facts about an entry; undefined when there is none. Computes the digest of a small value when first asked. */
  async info(key: string): Promise<EntryInfo | undefined> {
    this.#check(key);
    return this.#guard.read(key, undefined, async () => (await this.#link.open()).info(key));
  }

  /**
   * The value's file for programs that open files themselves; undefined when there is no value, or one that is packed
   * into the catalog. The entry isn't evicted, and the file stays as it is, whatever is set or deleted, until the lease is
   * released or disposed of, or the cache closed. In a namespace with readable names it is under its name there, unless it
   * couldn't be given that: the next value takes the name, at once and whole, and `delete` removes it. In a cache that is open read-only it is kept from
   * eviction only. Throws ERR_QUIVER_UNSUPPORTED where values are not files, and with `verify`, which reads all of it,
   * ERR_QUIVER_CHECKSUM_MISMATCH.
   */
  async path(key: string, options: { readonly verify?: boolean } = {}): Promise<PathLease | undefined> {
    this.#check(key);
    checkOptions(options, { verify: true });
    const verify = flag(options.verify ?? false, "verify");
    const lease = async (): Promise<PathLease | undefined> => {
      const store = await this.#link.open();
      if (store.path === undefined) throw unsupported(this.name, "has no files", key);
      return store.path(key, { verify });
    };
    return this.#guard.read(key, undefined, lease, (late) => late?.release());
  }

  /** Keys in ascending order of their UTF-8 bytes. What is set or deleted meanwhile may or may not be among them. */
  keys(options: ListOptions = {}): AsyncIterableIterator<string> {
    return walk((query) => this.#list(keysOf, query), options);
  }

  /** The same with the facts about each. */
  entries(options: ListOptions = {}): AsyncIterableIterator<[key: string, info: EntryInfo]> {
    return walk((query) => this.#list(pairsOf, query), options);
  }

  /** Values in the order of the keys; undefined for those that are not there. */
  async getMany(keys: Iterable<string>): Promise<(T | undefined)[]> {
    return mapBounded(iterable(keys, "keys"), TOGETHER, (key) => this.get(key));
  }

  /** Stores pairs of key and value; a third member gives options of its own. Not all or nothing. */
  async setMany(
    pairs: Iterable<readonly [key: string, value: T, options?: SetOptions]>,
    options: SetOptions = {},
  ): Promise<EntryInfo[]> {
    const all = iterable(pairs, "pairs");
    const store = this.#link.current;
    if (store !== undefined && canBatch(store) && !this.#guard.isLenient) {
      const parts = await mapBounded(this.#batches(store, all, options), BATCHES, (batch) => batch.ended());
      return parts.flat();
    }
    const set = (pair: unknown): Promise<EntryInfo> => {
      const [key, value, own] = pairOf<T>(pair);
      return this.set(key, value, own === undefined ? options : { ...options, ...own });
    };
    return mapBounded(all, TOGETHER, set, { most: SMALL_TOGETHER, when: ({ size }) => size <= SMALL });
  }

  /** What is wrong with a pair ends its batch and the last of them. */
  *#batches(
    store: BatchingStore,
    pairs: Iterable<unknown>,
    common: SetOptions,
  ): Generator<WriteBatch<SetOptions>> {
    let batch = this.#writer.batch(store);
    let checked: SetOptions | undefined;
    try {
      for (const pair of pairs) {
        const [key, value, own] = pairOf<T>(pair);
        const options = own === undefined ? common : { ...common, ...own };
        this.#check(key);
        if (options !== checked) checkOptions(options, SET_OPTIONS);
        checked = options;
        this.#context.checkWritable();
        if (isByteStream(value)) {
          const stored = this.#writer.stream(key, value, options);
          batch.addSingle({ size: Number.POSITIVE_INFINITY, stored });
        } else batch.add(key, value, options);
        if (batch.isFull) {
          yield batch;
          batch = this.#writer.batch(store);
        }
      }
    } catch (error) {
      batch.fail(error);
    }
    yield batch;
  }

  /** How many of the keys there were. */
  async deleteMany(keys: Iterable<string>): Promise<number> {
    const deleted = await mapBounded(iterable(keys, "keys"), TOGETHER, (key) => this.delete(key));
    return deleted.filter(Boolean).length;
  }

  /** Changes an entry's facts; undefined when there is no entry. */
  async touch(key: string, changes: TouchOptions): Promise<EntryInfo | undefined> {
    this.#check(key);
    checkOptions(changes, TOUCH_OPTIONS);
    const { metadata, priority, tags } = changes;
    const ttl = changes.ttl === undefined ? undefined : parseDuration(changes.ttl, "ttl");
    const given = {
      ...(ttl !== undefined && { expiresAt: expiryOf(now(), ttl) }),
      ...(priority !== undefined && { priority: integer(priority, "priority") }),
      ...(tags !== undefined && { tags: plainTags(tags) }),
      ...(metadata !== undefined && { metadata: metadata === null ? null : plainMetadata(metadata) }),
    };
    return this.#guard.write(
      key,
      () => undefined,
      () => this.#writer.change(key, (store) => store.touch(key, given)),
    );
  }

  /** Keeps an entry from being evicted, until `unpin`; whether there is one. It still expires. */
  pin(key: string): Promise<boolean> {
    return this.#setPinned(key, true);
  }

  /** Lets the entry be evicted again; whether there is one. */
  unpin(key: string): Promise<boolean> {
    return this.#setPinned(key, false);
  }

  /**
   * The value, computed and stored first when it is missing. Of all who ask at the same time, in this process or
   * another, one computes. Failures of the cache itself count as misses and are never the caller's; an error of
   * `compute` reaches every caller unchanged, and nothing is stored. Who computes gets the value as it was computed.
   */
  getOrCompute(
    key: string,
    compute: (context: { readonly signal: AbortSignal }) => T | Promise<T>,
    options: ComputeOptions = {},
  ): Promise<T> {
    const held =
      options?.refreshAhead === undefined && !this.#observes ? this.#link.hot.find(key) : undefined;
    if (held !== undefined) {
      this.#noteHit(key);
      return Promise.resolve(held.value as T);
    }
    return this.#getOrCompute(key, compute, options);
  }

  /**
   * The function with its results kept here, under keys made of its arguments: `<namespace>:<sha256>`, as `cacheKey`
   * makes them. What counts for `getOrCompute` counts for each call; a function that returns no promise is given
   * one. Throws ERR_QUIVER_BAD_OPTION.
   */
  memoize<Fn extends (this: never, ...args: never[]) => T | Promise<T>>(
    fn: Fn,
    options: MemoizeOptions<Parameters<Fn>> = {},
  ): MemoizedOf<Fn> {
    return memoize(this.#memoizable(), fn as Memoizee, options as MemoizeOptions<never[]>) as MemoizedOf<Fn>;
  }

  /** Removes the entries whose keys begin so, for all processes; how many. */
  async deleteByPrefix(prefix: string): Promise<number> {
    const keys: string[] = [];
    for await (const key of this.keys({ prefix })) keys.push(key);
    return this.deleteMany(keys);
  }

  /**
   * A stream over the stored bytes `[start, end)` as they are in the file; it fails with ERR_QUIVER_NOT_FOUND when
   * there are none. Its chunks must not be written to.
   */
  createReadStream(key: string, range: ByteRange = {}): Readable {
    this.#check(key);
    return readStream(key, range, () =>
      this.#guard.read(key, undefined, async () => (await this.#opened()).get(key)),
    );
  }

  /** Facts about the replaced values that are kept, newest first. */
  async versions(key: string): Promise<readonly EntryInfo[]> {
    this.#check(key);
    return this.#guard.read(key, [], async () => (await (await this.#link.open()).versions?.(key)) ?? []);
  }

  /** Removes everything at once; how many entries there were. */
  async clear(): Promise<number> {
    const cleared = await this.#guard.write(
      undefined,
      () => 0,
      async () => (await this.#link.open()).clear(),
    );
    this.#link.hot.clear();
    this.#counters.deletes += cleared;
    return cleared;
  }

  /** Counts survive restarts where the store does. Looks at every entry for the times of access. */
  async stats(): Promise<Statistics> {
    return measure(await this.#opened(), this.#context.tally.read(this.name));
  }

  /** Lets go of the values held in memory; called when the cache is closed. */
  release(): void {
    this.#link.hot.clear();
  }

  async #getAs(key: string, options: GetOptions): Promise<T | undefined> {
    checkOptions(options, GET_OPTIONS);
    const { version, copy = false } = options;
    const mustCopy = flag(copy, "copy");
    const value = await (version === undefined ? this.get(key) : this.#get(key, options));
    return mustCopy ? ((await privateCopy(value)) as T | undefined) : value;
  }

  #get(key: string, options: GetOptions | undefined): Promise<T | undefined> {
    if (this.#guard.isLenient) {
      return this.#noteLater(
        key,
        this.#guard.read(key, undefined, () => this.#find(key, options)),
      );
    }
    let found: Found | undefined | Promise<Found | undefined>;
    try {
      found = this.#find(key, options);
    } catch (error) {
      found = Promise.reject(error);
    }
    // What is known at once costs a resolved promise, as a hit in memory does.
    return found instanceof Promise ? this.#noteLater(key, found) : Promise.resolve(this.#note(key, found));
  }

  #find(key: string, options: GetOptions | undefined): Found | undefined | Promise<Found | undefined> {
    const { hot, current } = this.#link;
    this.#checkToRead(key, current);
    const started = this.#latencies.beginRead();
    if (options?.version !== undefined)
      return this.#timed(this.#findVersion(key, count(options.version, "version")), started);
    if (current === undefined) return this.#timed(this.#findOnceOpen(key), started);
    let found: Found | undefined | Promise<Found | undefined>;
    try {
      found = this.#reader.loadAtOnce(current, hot, key);
    } finally {
      if (!(found instanceof Promise)) this.#latencies.end("read", started);
    }
    return found instanceof Promise ? this.#timed(found, started) : found;
  }

  async #findVersion(key: string, version: number): Promise<Found | undefined> {
    return this.#reader.loadVersion(await this.#link.open(), key, version);
  }

  async #findOnceOpen(key: string): Promise<Found | undefined> {
    return this.#reader.load(await this.#link.open(), this.#link.hot, key);
  }

  #timed(found: Promise<Found | undefined>, started: number | undefined): Promise<Found | undefined> {
    if (started === undefined) return found;
    return found.finally(() => this.#latencies.end("read", started));
  }

  async #noteLater(key: string, found: Promise<Found | undefined>): Promise<T | undefined> {
    return this.#note(key, await found);
  }

  #getSync(key: string): T | undefined {
    const store = this.#link.current;
    this.#checkToRead(key, store);
    // A namespace that is still being opened was not there when the cache was; nothing of it is known yet.
    let value: unknown = NOTHING;
    try {
      if (store !== undefined) value = this.#reader.loadSync(store, this.#link.hot, key);
    } catch (error) {
      if (!this.#guard.isLenient || isOfTheCaller(error)) throw error;
      this.#guard.swallow(key, error);
    }
    if (value !== NOTHING) {
      this.#noteHit(key);
      return value as T;
    }
    this.#noteMiss(key);
    return undefined;
  }

  async #getOrCompute(
    key: string,
    compute: (context: { readonly signal: AbortSignal }) => T | Promise<T>,
    options: ComputeOptions,
  ): Promise<T> {
    const plan = planOf(options);
    const task = { key, compute: callable(compute, "compute"), plan };
    return this.#obtain(task, options.signal) as Promise<T>;
  }

  /** From memory, unless it is to be recomputed soon, or the long way. */
  async #obtain(task: Task, signal: AbortSignal | undefined): Promise<unknown> {
    const held = this.#observes ? undefined : this.#link.hot.find(task.key);
    if (held !== undefined && now() < held.freshUntil - task.plan.refreshAhead) {
      this.#noteHit(task.key);
      return held.value;
    }
    if (this.#isPassedOver()) return alone(task, signal);
    this.#check(task.key);
    return this.#observes ? this.#computing.observe(task, signal) : this.#computing.join(task, signal);
  }

  #memoizable(): Memoizable {
    return {
      name: this.name,
      obtain: (task, signal) => this.#obtain(task, signal),
      renew: async (task, signal) => {
        if (this.#isPassedOver()) return alone(task, signal);
        this.#check(task.key);
        return this.#computing.renew(task, signal);
      },
      get: (key) => this.get(key),
      has: (key) => this.has(key),
      delete: (key) => this.delete(key),
      deleteByPrefix: (prefix) => this.deleteByPrefix(prefix),
      digestOf: (namespace, key) =>
        this.#guard.read(key, undefined, async () => {
          const store =
            namespace === undefined ? await this.#link.open() : await this.#context.open(namespace, {});
          return (await store.info(key))?.digest;
        }),
    };
  }

  async #setPinned(key: string, pinned: boolean): Promise<boolean> {
    this.#check(key);
    const touched = await this.#guard.write(
      key,
      () => undefined,
      () => this.#writer.change(key, (store) => store.touch(key, { pinned })),
    );
    return touched !== undefined;
  }

  #list<E>(
    pageOf: (store: StoreNamespace, query: ListQuery) => Promise<Page<E>>,
    query: ListQuery,
  ): Promise<Page<E>> {
    return this.#guard.read<Page<E>>(undefined, NO_PAGE, async () => pageOf(await this.#opened(), query));
  }

  async #opened(): Promise<StoreNamespace> {
    this.#context.checkOpen();
    return this.#link.open();
  }

  /** Whether the cache is closed and computing goes on all the same, for requests that outlast it. */
  #isPassedOver(): boolean {
    return this.#guard.isLenient && this.#context.isClosed();
  }

  #check(key: string): void {
    this.#context.checkOpen();
    checkKey(key);
  }

  /** A store that answers at once checks the keys that it is asked for itself: it goes over each of them anyway. */
  #checkToRead(key: string, store: StoreNamespace | undefined): void {
    this.#context.checkOpen();
    if (store?.getAtOnce === undefined) checkKey(key);
  }

  #note(key: string, found: Found | undefined): T | undefined {
    if (found === undefined || found.value instanceof RememberedError) {
      this.#noteMiss(key);
      return undefined;
    }
    this.#noteHit(key);
    return found.value as T;
  }

  #noteHit(key: string): void {
    this.#counters.hits++;
    if (this.#context.events.hits) this.#context.events.emit("hit", { namespace: this.name, key });
  }

  #noteMiss(key: string): void {
    this.#counters.misses++;
    if (this.#context.events.has("miss")) this.#context.events.emit("miss", { namespace: this.name, key });
  }

  #noteDeleted(key: string): void {
    this.#counters.deletes++;
    if (this.#context.events.has("delete"))
      this.#context.events.emit("delete", { namespace: this.name, key });
  }
}

/** The value as if there were no cache. */
async function alone({ compute }: Task, signal = new AbortController().signal): Promise<unknown> {
  return compute({ signal });
}

/** Facts of an entry that was gone as soon as it was stored. */
function unstored(key: string): EntryInfo {
  const time = now();
  return {
    key,
    size: 0,
    digest: undefined,
    createdAt: time,
    expiresAt: time,
    lastAccessed: time,
    accessCount: 0,
    codec: "",
    priority: 0,
    pinned: false,
    tags: [],
    metadata: undefined,
  };
}

function unsupported(namespace: string, what: string, key: string): QuiverError {
  return new QuiverError("ERR_QUIVER_UNSUPPORTED", `the store of namespace "${namespace}" ${what}`, { key });
}

function pairOf<T>(pair: unknown): readonly [key: string, value: T | ByteStream, options?: SetOptions] {
  if (!Array.isArray(pair)) throw badOption("a pair", pair, "[key, value] or [key, value, options]");
  return pair as [string, T | ByteStream, SetOptions?];
}
