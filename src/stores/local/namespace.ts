/** A namespace of the local store. */

import type { EncodedValue } from "../../codecs/codec.ts";
import {
  asStoreError,
  type NativeStore,
  type NativeWriter,
  type Requests,
  translated,
  translatedAsync,
  writeChunk,
} from "../../native/store.ts";
import { collectGarbage } from "../../shared/collect.ts";
import { cacheClosed, isQuiverError, QuiverError } from "../../shared/errors.ts";
import { type Hold, KeyQueue } from "../../shared/key-queue.ts";
import { checkKey } from "../../shared/keys.ts";
import type {
  Coherence,
  EntryFacts,
  FactChanges,
  Flight,
  GetFromStore,
  ListQuery,
  NamespaceSettings,
  NewFacts,
  Page,
  PathLease,
  ReadOptions,
  StoreBatch,
  StoredValue,
  StoreNamespace,
  Usage,
  ValueWriter,
} from "../store.ts";
import { ValueInParts } from "../stored-value.ts";
import { LocalBatch } from "./batch.ts";
import type { LocalClock } from "./clock.ts";
import type { Exchange } from "./exchange.ts";
import { factsOf, Manners, PackedWrite } from "./packed-facts.ts";
import { Pool } from "./pool.ts";
import type { SlotTables } from "./slot-tables.ts";
import type { Snapshot } from "./snapshot.ts";
import { OpenValues } from "./values.ts";

/** Values up to this many bytes are packed into the catalog, unless the namespace keeps one file an entry. */
export const PACKED_LIMIT: number = 16 * 1024;

/** Bytes handed over at once, so that the copy never blocks for long. */
const SLICE = 4 * 1024 * 1024;

/** What a look-up found. */
const ABSENT = 0;
const PACKED = 1;
const FILE = 2;
const MAYBE_FOREIGN = 3;
/** Packed as well, and put into the pool already. */
const PLACED = 4;
/** Nothing yet: the key is one that has to be checked here. */
const UNCHECKED = 5;

/** How many entries a request removed, and whether another one would remove more. */
interface Removed {
  readonly count: number;
  readonly more: boolean;
}

export interface LocalNamespaceParts {
  readonly name: string;
  readonly settings: NamespaceSettings;
  readonly native: NativeStore;
  readonly handle: number;
  readonly requests: Requests;
  readonly clock: LocalClock;
  readonly snapshot: Snapshot;
  readonly exchange: Exchange;
  readonly tables: SlotTables;
  readonly epochSlot: number;
}

export class LocalNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence: Coherence;
  readonly #native: NativeStore;
  readonly #handle: number;
  readonly #requests: Requests;
  readonly #clock: LocalClock;
  readonly #snapshot: Snapshot;
  readonly #tables: SlotTables;
  readonly #exchange: Exchange;
  readonly #lookupNative: (key: string | number, place?: ArrayBuffer, from?: number) => number;
  readonly #values = new OpenValues();
  readonly #pool = new Pool();
  readonly #queue = new KeyQueue();
  readonly #manners: Manners;
  #isClosed = false;
  #held: { readonly chunk: number; readonly hold: Hold } | undefined;
  #settings: NamespaceSettings;

  constructor(parts: LocalNamespaceParts) {
    this.name = parts.name;
    this.#tables = parts.tables;
    this.coherence = parts.tables.coherence(parts.epochSlot);
    this.#settings = parts.settings;
    this.#native = parts.native;
    this.#handle = parts.handle;
    this.#requests = parts.requests;
    this.#clock = parts.clock;
    this.#snapshot = parts.snapshot;
    this.#exchange = parts.exchange;
    this.#manners = new Manners(parts.native);
    this.#lookupNative = translated(() => parts.native.lookup(parts.handle));
  }

  get settings(): NamespaceSettings {
    return this.#settings;
  }

  /** The settings were recorded anew. */
  reconfigured(settings: NamespaceSettings): void {
    this.#settings = settings;
  }

  /** The store is closed: what is asked from now on is refused. */
  close(): void {
    this.#isClosed = true;
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    checkKey(key);
    return this.#queue.read(key, async () => {
      try {
        return await this.#read(key, options);
      } catch (error) {
        if (!isQuiverError(error, "ERR_QUIVER_TOO_MANY_MAPPINGS")) throw error;
        // Those that nobody uses any more are not in the way.
        await collectGarbage();
        return this.#read(key, options);
      }
    });
  }

  async #read(key: string, { version, stale }: GetFromStore): Promise<StoredValue | undefined> {
    if (version !== undefined) return this.#found(key, this.#lookupVersion(key, version), false, true);
    const status = stale ? this.#lookupStale(key) : this.#lookup(key);
    if (status !== MAYBE_FOREIGN) return this.#found(key, status);
    await translatedAsync(() => this.#native.adopt(this.#handle, key));
    return this.#found(key, this.#lookup(key));
  }

  getAtOnce(key: string, options?: ReadOptions): StoredValue | undefined | Promise<StoredValue | undefined> {
    if (!this.#queue.isIdle(key)) return this.get(key);
    const pooled = options?.pooled ?? false;
    const status = this.#lookup(key, pooled);
    return status === MAYBE_FOREIGN ? this.get(key) : this.#found(key, status, pooled);
  }

  /**
   * Sees neither writes that are under way nor a file that another program put there: `get` takes the time for
   * both.
   */
  getSync(key: string, options?: ReadOptions): StoredValue | undefined {
    const pooled = options?.pooled ?? false;
    return this.#found(key, this.#lookup(key, pooled), pooled);
  }

  async has(key: string): Promise<boolean> {
    checkKey(key);
    return this.#queue.read(key, async () => {
      this.#enter();
      if (translated(() => this.#native.has(this.#handle, key))) return true;
      if (this.#settings.layout !== "named") return false;
      return translatedAsync(() => this.#native.adopt(this.#handle, key));
    });
  }

  set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    try {
      checkKey(key);
      this.#enter();
      return this.#isPacked(value) ? this.#setPacked(key, value, facts) : this.#setFile(key, value, facts);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  setSync(key: string, value: EncodedValue, facts: NewFacts): EntryFacts {
    checkKey(key);
    this.#enter();
    if (!this.#queue.isIdle(key)) {
      throw new QuiverError("ERR_QUIVER_UNSUPPORTED", "another write of this key is under way", {
        key,
        fix: "Use `await namespace.set(key, value)`.",
      });
    }
    if (!this.#isPacked(value)) {
      const json = JSON.stringify(facts);
      return JSON.parse(translated(() => this.#written(key, value, true).commitSync(json)));
    }
    const { parts } = value;
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    // No fence crosses beside a manner here, as one does in a chunk.
    const manner = facts.fence === undefined ? this.#manners.of(facts) : JSON.stringify(facts);
    try {
      return factsOf(
        key,
        value.byteLength,
        facts,
        this.#native.putSync(this.#handle, key, manner, facts.expiresAt, bytes),
      );
    } catch (error) {
      throw asStoreError(error);
    }
  }

  batch(): StoreBatch {
    return new LocalBatch({
      handle: this.#handle,
      requests: this.#requests,
      queue: this.#queue,
      manners: this.#manners,
      isPacked: (value) => this.#isPacked(value),
      enter: () => this.#enter(),
    });
  }

  /** Whether a value goes into the catalog and not to a file. */
  #isPacked(value: EncodedValue): boolean {
    const { layout, files } = this.#settings;
    return layout === "hashed" && files === "large" && value.byteLength <= PACKED_LIMIT;
  }

  #setPacked(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    const { parts } = value;
    const single = parts.length === 1 ? parts[0] : undefined;
    const manner = this.#manners.of(facts);
    // What has to wait for its turn is copied here, all else by what is called here.
    if (!this.#queue.isIdle(key)) {
      const own = single?.slice() ?? Buffer.concat(parts);
      return this.#queue.write(key, () => this.#put(key, own, facts, manner));
    }
    const bytes = single ?? Buffer.concat(parts);
    const hold = typeof manner === "number" ? this.#holdInChunk() : this.#queue.hold();
    hold.add(key);
    return this.#put(key, bytes, facts, manner, hold);
  }

  #put(
    key: string,
    bytes: Uint8Array,
    facts: NewFacts,
    manner: number | string,
    hold?: Hold,
  ): Promise<EntryFacts> {
    const write = new PackedWrite(key, bytes.byteLength, facts, hold);
    if (typeof manner === "string") {
      return this.#requests.send((id) => this.#native.put(id, this.#handle, key, manner, bytes), write);
    }
    const { expiresAt, fence } = facts;
    return this.#requests.put({ handle: this.#handle, key, manner, expiresAt, fence, bytes }, write);
  }

  /** Holds the keys of what goes into the chunk by itself. */
  #holdInChunk(): Hold {
    const { chunk } = this.#requests;
    if (this.#held?.chunk !== chunk) this.#held = { chunk, hold: this.#queue.hold() };
    return this.#held.hold;
  }

  #setFile(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    return this.#commit(key, this.#written(key, value, false), facts);
  }

  /** A value on its way into a file, to be committed; `here` if this thread is to write it. */
  #written(key: string, value: EncodedValue, here: boolean): NativeWriter {
    const writer = translated(() => this.#native.writer(this.#handle, key, here));
    try {
      for (const part of value.parts) {
        for (let start = 0; start < part.byteLength; start += SLICE) {
          translated(() => writer.write(part.subarray(start, start + SLICE)));
        }
      }
    } catch (error) {
      writer.abort();
      throw error;
    }
    return writer;
  }

  #commit(key: string, writer: NativeWriter, facts: NewFacts): Promise<EntryFacts> {
    const json = JSON.stringify(facts);
    return this.#queue.write(key, () => this.#requests.send((id) => writer.commit(id, json)));
  }

  async writer(
    key: string,
    { signal }: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    checkKey(key);
    this.#enter();
    checkSignal(key, signal);
    const writer = translated(() => this.#native.writer(this.#handle, key, false));
    let ended = false;
    const check = (): void => {
      if (ended) throw new QuiverError("ERR_QUIVER_BAD_OPTION", "the value is complete or given up", { key });
      try {
        checkSignal(key, signal);
      } catch (error) {
        ended = true;
        writer.abort();
        throw error;
      }
    };
    return {
      write: async (chunk) => {
        check();
        await writeChunk(this.#requests, writer, chunk);
      },
      commit: async (facts) => {
        check();
        ended = true;
        return this.#commit(key, writer, facts);
      },
      abort: async () => {
        if (ended) return;
        ended = true;
        writer.abort();
      },
    };
  }

  async delete(key: string): Promise<boolean> {
    checkKey(key);
    this.#enter();
    const { count } = await this.#queue.write(key, () =>
      this.#requests.send<Removed>((id) => this.#native.delete(id, this.#handle, key)),
    );
    return count > 0;
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    checkKey(key);
    return this.#queue.read(key, async () => {
      this.#enter();
      const json = await translatedAsync(() => this.#native.info(this.#handle, key));
      return json === null ? undefined : JSON.parse(json);
    });
  }

  async list({ prefix = "", after, limit }: ListQuery): Promise<Page> {
    this.#enter();
    return pageOf(await translatedAsync(() => this.#native.list(this.#handle, prefix, after, limit)));
  }

  async listKeys({ prefix = "", after, limit }: ListQuery): Promise<Page<string>> {
    this.#enter();
    return pageOf(await translatedAsync(() => this.#native.listKeys(this.#handle, prefix, after, limit)));
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    checkKey(key);
    this.#enter();
    const json = JSON.stringify(changes);
    const touched = await this.#queue.write(key, () =>
      this.#requests.send<EntryFacts | null>((id) => this.#native.touch(id, this.#handle, key, json)),
    );
    return touched ?? undefined;
  }

  async clear(): Promise<number> {
    this.#enter();
    const { count } = await this.#requests.send<Removed>((id) => this.#native.clear(id, this.#handle));
    return count;
  }

  async deleteByTag(tag: string): Promise<number> {
    this.#enter();
    return this.#inBatches((id) => this.#native.deleteTagged(id, this.#handle, tag));
  }

  /** Removes what has expired in all namespaces of the root. */
  async expire(_now: number): Promise<number> {
    this.#enter();
    return this.#inBatches((id) => this.#native.expire(id));
  }

  async #inBatches(submit: (id: number) => void): Promise<number> {
    let sum = 0;
    for (;;) {
      const { count, more } = await this.#requests.send<Removed>(submit);
      sum += count;
      if (!more) return sum;
    }
  }

  usage(): Usage {
    return translated(() => this.#native.usage(this.#handle));
  }

  async versions(key: string): Promise<readonly EntryFacts[]> {
    checkKey(key);
    return this.#queue.read(key, async () => {
      this.#enter();
      return JSON.parse(translated(() => this.#native.versions(this.#handle, key)));
    });
  }

  async path(key: string, options: { verify: boolean }): Promise<PathLease | undefined> {
    checkKey(key);
    const lease = await this.#queue.read(key, async () => {
      this.#enter();
      return translatedAsync(() => this.#native.lease(this.#handle, key, options.verify));
    });
    if (lease === null) return undefined;
    const [id, path] = lease;
    const release = (): void => this.#native.releaseLease(id);
    return { path, release, [Symbol.dispose]: release };
  }

  async flight(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined> {
    checkKey(key);
    this.#enter();
    const free = translated(() => this.#native.tryFlight(this.#handle, key));
    if (free !== null) return this.#flightOf(key, free);
    const { timeout, signal } = options;
    let number = 0;
    const cancel = (): void => this.#native.cancelFlight(number);
    try {
      const claimed = await this.#requests.send<number | null>((id) => {
        number = this.#native.acquireFlight(id, this.#handle, key, timeout);
        if (signal?.aborted) cancel();
        else signal?.addEventListener("abort", cancel, { once: true });
      });
      return claimed === null ? undefined : this.#flightOf(key, claimed);
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  #flightOf(key: string, fence: number): Flight {
    return { fence, release: () => this.#native.releaseFlight(this.#handle, key, fence) };
  }

  /** Refuses a closed store, and lets the native clock follow. */
  #enter(): void {
    if (this.#isClosed) throw cacheClosed();
    this.#clock.apply();
  }

  #lookup(key: string, pooled = false): number {
    this.#enter();
    // A number would pass for the length of a key.
    const status = typeof key === "string" ? this.#ask(key, pooled) : UNCHECKED;
    return this.#noted(status === UNCHECKED ? this.#ask(this.#writeKey(key), pooled) : status);
  }

  /** Sees to the snapshot that a look-up keeps which finds nothing; any other has given up its own. */
  #noted(status: number): number {
    if (status === ABSENT || status === MAYBE_FOREIGN) this.#snapshot.endWithTurn();
    return status;
  }

  /** Asks for a plain key, or for the one in the exchange by its length. */
  #ask(key: string | number, pooled: boolean): number {
    try {
      return pooled ? this.#lookupNative(key, this.#pool.slab, this.#pool.used) : this.#lookupNative(key);
    } catch (error) {
      throw asStoreError(error);
    }
  }

  #lookupStale(key: string): number {
    this.#enter();
    const length = this.#writeKey(key);
    return this.#noted(translated(() => this.#native.lookupStale(this.#handle, length)));
  }

  #lookupVersion(key: string, version: number): number {
    this.#enter();
    return translated(() => this.#native.lookupVersion(this.#handle, key, version));
  }

  /** Checks a key and puts it into the exchange; its length in UTF-8. */
  #writeKey(key: string): number {
    checkKey(key);
    return this.#exchange.writeKey(key);
  }

  /**
   * What the look-up just made has put into the exchange; nothing else may run in between. Without `once` the entry is
   * looked up again where another process has replaced the value before its file was opened.
   */
  #found(key: string, status: number, pooled = false, once = false): StoredValue | undefined {
    if (status !== PACKED && status !== PLACED && status !== FILE) return undefined;
    // Objects are written out and arrays indexed on this path: spreading and destructuring arrays take as long as the
    // look-up itself.
    const { words, numbers, codecs } = this.#exchange;
    const stamp = words[0] as number;
    const slot = words[1] as number;
    if (slot >= this.coherence.stamps.length) this.#tables.reach(slot);
    const createdAt = numbers[0] as number;
    const expires = numbers[1] as number;
    const size = numbers[2] as number;
    const codec = codecs[words[3] as number] ?? this.#exchange.learnCodec();
    const expiresAt = expires === Number.POSITIVE_INFINITY ? null : expires;
    if (status !== FILE) {
      const bytes = status === PLACED ? this.#pool.take(size) : this.#copy(size, pooled);
      return { codec, createdAt, expiresAt, slot, stamp, bytes, mapped: false, pooled };
    }
    const content = this.#exchange.content[0] as bigint;
    const value = this.#inFile(content, size, { codec, createdAt, expiresAt, slot, stamp });
    if (value !== undefined || once) return value;
    const now = this.#lookup(key, pooled);
    // The same value without its file: the entry is on its way out.
    return now === FILE && this.#exchange.content[0] === content ? undefined : this.#found(key, now, pooled);
  }

  /** The value of the entry just found, in a file of its own: mapped, or read where it is small; undefined if that is gone. */
  #inFile(content: bigint, size: number, entry: FoundEntry): StoredValue | undefined {
    const value = this.#values.take(this.#native, content, size);
    if (value === undefined) return undefined;
    const { codec, createdAt, expiresAt, slot, stamp } = entry;
    if (value instanceof Uint8Array) {
      return { codec, createdAt, expiresAt, slot, stamp, bytes: value, mapped: false };
    }
    const { bytes: parts, mapped, verify, ready } = value;
    return parts.isLarge
      ? new ValueInParts({ codec, createdAt, expiresAt, slot, stamp, parts, mapped, verify, ready })
      : { codec, createdAt, expiresAt, slot, stamp, bytes: parts.all, mapped, verify, ready };
  }

  /** The packed value in the exchange, in memory where it may stay. */
  #copy(size: number, pooled: boolean): Uint8Array {
    const value = this.#exchange.view(size);
    return pooled ? this.#pool.copy(value) : value.slice();
  }
}

/** What a look-up says of an entry besides its value. */
type FoundEntry = Pick<StoredValue, "codec" | "createdAt" | "expiresAt" | "slot" | "stamp">;

/** A page as the add-on writes it. */
function pageOf<T>(json: string): Page<T> {
  const { entries, next } = JSON.parse(json);
  return { entries, next: next ?? undefined };
}

function checkSignal(key: string, signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new QuiverError("ERR_QUIVER_ABORTED", "the write was given up", { key, cause: signal.reason });
}
