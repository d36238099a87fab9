/** A namespace of the local store. */

import type { EncodedValue } from "../../codecs/codec.ts";
import {
  type NativeStore,
  type NativeWriter,
  type Requests,
  translated,
  translatedAsync,
  writeChunk,
} from "../../native/store.ts";
import { collectGarbage } from "../../shared/collect.ts";
import { isQuiverError, QuiverError } from "../../shared/errors.ts";
import { KeyQueue } from "../../shared/key-queue.ts";
import { checkKey } from "../../shared/keys.ts";
import type {
  Coherence,
  EntryFacts,
  FactChanges,
  Flight,
  GetFromStore,
  NamespaceSettings,
  NewFacts,
  Page,
  PathLease,
  StoredValue,
  StoreNamespace,
  Usage,
  ValueWriter,
} from "../store.ts";
import type { LocalClock } from "./clock.ts";
import { OpenValues, verifier } from "./values.ts";

/** Values up to this many bytes are packed into the catalog, unless the namespace keeps one file an entry. */
export const PACKED_LIMIT: number = 16 * 1024;

/** Bytes handed over at once, so that the copy never blocks for long. */
const SLICE = 4 * 1024 * 1024;

/** Where the parts of a response lie; see `lookup` of the add-on. */
const CODEC_AT = 64;
const VALUE_AT = 320;

/** What a look-up found. */
const PACKED = 1;
const FILE = 2;
const MAYBE_FOREIGN = 3;

export interface LocalNamespaceParts {
  readonly name: string;
  readonly settings: NamespaceSettings;
  readonly native: NativeStore;
  readonly handle: number;
  readonly requests: Requests;
  readonly clock: LocalClock;
  readonly response: ArrayBuffer;
  readonly coherence: Coherence;
  /** Throws once the store is closed. */
  readonly checkOpen: () => void;
}

export class LocalNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence: Coherence;
  readonly #native: NativeStore;
  readonly #handle: number;
  readonly #requests: Requests;
  readonly #clock: LocalClock;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  readonly #contents: BigUint64Array;
  readonly #response: ArrayBuffer;
  readonly #bytes: Buffer;
  readonly #values = new OpenValues();
  readonly #queue = new KeyQueue();
  readonly #checkOpen: () => void;
  #settings: NamespaceSettings;

  constructor(parts: LocalNamespaceParts) {
    this.name = parts.name;
    this.coherence = parts.coherence;
    this.#settings = parts.settings;
    this.#native = parts.native;
    this.#handle = parts.handle;
    this.#requests = parts.requests;
    this.#clock = parts.clock;
    this.#checkOpen = parts.checkOpen;
    this.#words = new Uint32Array(parts.response, 0, 4);
    this.#numbers = new Float64Array(parts.response, 16, 3);
    this.#contents = new BigUint64Array(parts.response, 40, 1);
    this.#response = parts.response;
    this.#bytes = Buffer.from(parts.response);
  }

  get settings(): NamespaceSettings {
    return this.#settings;
  }

  /** The settings were recorded anew. */
  reconfigured(settings: NamespaceSettings): void {
    this.#settings = settings;
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
    const status = this.#lookup(key, version, stale);
    if (status !== MAYBE_FOREIGN) return this.#found(key, status);
    await translatedAsync(() => this.#native.adopt(this.#handle, key));
    return this.#found(key, this.#lookup(key));
  }

  /**
   * Sees neither writes that are under way nor a file that another program put there: `get` takes the time for
   * both.
   */
  getSync(key: string): StoredValue | undefined {
    checkKey(key);
    return this.#found(key, this.#lookup(key));
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

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    checkKey(key);
    this.#enter();
    const packed =
      this.#settings.layout === "hashed" &&
      this.#settings.files === "large" &&
      value.byteLength <= PACKED_LIMIT;
    return JSON.parse(await (packed ? this.#setPacked(key, value, facts) : this.#setFile(key, value, facts)));
  }

  #setPacked(key: string, value: EncodedValue, facts: NewFacts): Promise<string> {
    const [only] = value.parts;
    const single = value.parts.length === 1 ? only : undefined;
    // The add-on copies within the call; what has to wait for its turn is copied here.
    const bytes =
      single === undefined ? Buffer.concat(value.parts) : this.#queue.isIdle(key) ? single : single.slice();
    const json = JSON.stringify(facts);
    return this.#queue.write(key, () =>
      this.#requests.send((id) => this.#native.put(id, this.#handle, key, json, bytes)),
    );
  }

  #setFile(key: string, value: EncodedValue, facts: NewFacts): Promise<string> {
    const writer = translated(() => this.#native.writer(this.#handle, key));
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
    return this.#commit(key, writer, facts);
  }

  #commit(key: string, writer: NativeWriter, facts: NewFacts): Promise<string> {
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
    const writer = translated(() => this.#native.writer(this.#handle, key));
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
        return JSON.parse(await this.#commit(key, writer, facts));
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
    const answer = await this.#queue.write(key, () =>
      this.#requests.send((id) => this.#native.delete(id, this.#handle, key)),
    );
    return JSON.parse(answer).count > 0;
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    checkKey(key);
    return this.#queue.read(key, async () => {
      this.#enter();
      const json = await translatedAsync(() => this.#native.info(this.#handle, key));
      return json === null ? undefined : JSON.parse(json);
    });
  }

  async list(options: { prefix?: string; after?: string; limit: number }): Promise<Page> {
    this.#enter();
    const { prefix = "", after, limit } = options;
    const json = await translatedAsync(() => this.#native.list(this.#handle, prefix, after, limit));
    const { entries, next } = JSON.parse(json);
    return { entries, next: next ?? undefined };
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    checkKey(key);
    this.#enter();
    const json = JSON.stringify(changes);
    const answer = await this.#queue.write(key, () =>
      this.#requests.send((id) => this.#native.touch(id, this.#handle, key, json)),
    );
    return answer === "" ? undefined : JSON.parse(answer);
  }

  async clear(): Promise<number> {
    this.#enter();
    return JSON.parse(await this.#requests.send((id) => this.#native.clear(id, this.#handle))).count;
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
      const { count, more } = JSON.parse(await this.#requests.send(submit));
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
    const held = await this.#queue.read(key, async () => {
      this.#enter();
      return translatedAsync(() => this.#native.hold(this.#handle, key, options.verify));
    });
    if (held === null) return undefined;
    const [path, content] = held;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#native.releaseHold(content);
    };
    return { path, release, [Symbol.dispose]: release };
  }

  async flight(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined> {
    checkKey(key);
    this.#enter();
    const { timeout, signal } = options;
    let number = 0;
    const cancel = (): void => this.#native.cancelFlight(number);
    try {
      const answer = await this.#requests.send((id) => {
        number = this.#native.acquireFlight(id, this.#handle, key, timeout);
        signal?.addEventListener("abort", cancel, { once: true });
      });
      if (answer === "") return undefined;
      const { fence, hash } = JSON.parse(answer) as { fence: number; hash: string };
      return { fence, release: () => this.#native.releaseFlight(hash, fence) };
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** Refuses a closed store, and lets the native clock follow. */
  #enter(): void {
    this.#checkOpen();
    this.#clock.apply();
  }

  #lookup(key: string, version?: number, stale = false): number {
    this.#enter();
    return translated(() => this.#native.lookup(this.#handle, key, version, stale));
  }

  /** What the look-up just made has put into the response; nothing else may run in between. */
  #found(key: string, status: number): StoredValue | undefined {
    if (status !== PACKED && status !== FILE) return undefined;
    // Objects are written out and arrays indexed on this path: spreading and destructuring take as long as the
    // look-up itself.
    const stamp = this.#words[0] as number;
    const slot = this.#words[1] as number;
    const codecLength = this.#words[3] as number;
    const createdAt = this.#numbers[0] as number;
    const expires = this.#numbers[1] as number;
    const size = this.#numbers[2] as number;
    const codec = this.#bytes.toString("latin1", CODEC_AT, CODEC_AT + codecLength);
    const expiresAt = expires === Number.POSITIVE_INFINITY ? null : expires;
    if (status === PACKED) {
      const bytes = new Uint8Array(this.#response.slice(VALUE_AT, VALUE_AT + size));
      return { codec, createdAt, expiresAt, slot, stamp, bytes, mapped: false };
    }
    const value = this.#values.take(this.#native, this.#contents[0] as bigint);
    if (value === undefined) return undefined;
    if (value.buffer.byteLength !== size) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", "the value's file has another length", { key });
    }
    return {
      codec,
      createdAt,
      expiresAt,
      slot,
      stamp,
      bytes: new Uint8Array(value.buffer),
      mapped: value.mapped,
      ...(value.check && verifier(value.check)),
    };
  }
}

function checkSignal(key: string, signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new QuiverError("ERR_QUIVER_ABORTED", "the write was given up", { key, cause: signal.reason });
}
