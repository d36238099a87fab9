/**
 * Writing. What is stored is the value as it is when `set` is called, and operations on one key take effect in the
 * order of the calls, however long encoding takes.
 */

import type { Codec, Compression, EncodedValue, EncodeOptions } from "../codecs/codec.ts";
import { isPlainObject } from "../codecs/values.ts";
import { checkAdmission } from "../policy/admission.ts";
import { expiryOf, ttlOf } from "../policy/ttl.ts";
import { now } from "../shared/clock.ts";
import { QuiverError } from "../shared/errors.ts";
import { KeyQueue } from "../shared/key-queue.ts";
import { badOption, type OptionNames } from "../shared/options.ts";
import { type Duration, parseDuration } from "../shared/units.ts";
import type { Counters } from "../stores/counters.ts";
import type { EntryFacts, NewFacts, StoreNamespace } from "../stores/store.ts";
import { capture, checkMemory, copyOfEncoded } from "./capture.ts";
import { type CodecOption, isPending } from "./codec-set.ts";
import type { CacheContext } from "./context.ts";
import { aborted } from "./failures.ts";
import type { NamespaceLatencies } from "./latencies.ts";
import { flag, integer } from "./option-readers.ts";
import type { ResolvedNamespaceOptions } from "./options.ts";
import { type ByteStream, pump } from "./streams.ts";
import { type BatchingStore, WriteBatch } from "./write-batch.ts";

/** Options of `set`. One that is left out is inherited from the namespace, then from the cache; null means none. */
export interface SetOptions {
  /** From now on; null = for ever. Default: the namespace's, else the cache's. */
  readonly ttl?: Duration | null;
  /** Share of the time to live, in [0, 1), of which a random part is taken off, so that entries made together don't expire together. Default: 0. */
  readonly jitter?: number;
  /** Any JSON object; kept with the entry and given back by `info`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** For `invalidate({ tag })`. */
  readonly tags?: readonly string[];
  /** Lower ones are evicted first. Default: the namespace's, else 0. */
  readonly priority?: number;
  /** Never evicted. Default: false. */
  readonly pinned?: boolean;
  /** Default: the namespace's, else by value. For a stream: what its bytes are; default the namespace's, else "bin". */
  readonly codec?: CodecOption;
  /** Where the codec can; see the codec. */
  readonly compression?: Compression;
  /** The caller won't touch the value again, so that copies are saved where values are encoded in the background. */
  readonly transfer?: boolean;
  /** Gives up what has not been handed to the store yet: ERR_QUIVER_ABORTED. */
  readonly signal?: AbortSignal;
}

/** Those of who gives none. */
export const NO_SET_OPTIONS: SetOptions = Object.freeze({});

export const SET_OPTIONS: OptionNames<SetOptions> = {
  ttl: true,
  jitter: true,
  metadata: true,
  tags: true,
  priority: true,
  pinned: true,
  codec: true,
  compression: true,
  transfer: true,
  signal: true,
};

/** What computing adds to a write. */
export interface WriteExtras {
  /** Proof of holding the computation of the key. */
  readonly fence?: number;
  /** How long after its expiry the entry is kept, in milliseconds. */
  readonly staleTtl?: number;
  /** Chosen by value, the codec is one that gives the value back as it was. */
  readonly exact?: boolean;
}

const NO_EXTRAS: WriteExtras = {};

/** Where a namespace's values go: known at once, or still being opened. */
export interface StoreLink {
  readonly current: StoreNamespace | undefined;
  open(): Promise<StoreNamespace>;
}

export class Writer {
  readonly #context: CacheContext;
  readonly #namespace: string;
  readonly #options: ResolvedNamespaceOptions;
  readonly #link: StoreLink;
  readonly #counters: Counters;
  readonly #latencies: NamespaceLatencies;
  /** Busy while a value of the key is being encoded or streamed; the store keeps the order of what reaches it. */
  readonly #queue = new KeyQueue();
  /** The facts of values that are set without options, for the codec that was last used so. */
  #plain: { readonly codec: Codec; readonly facts: PreparedFacts } | undefined;

  constructor(context: CacheContext, namespace: string, options: ResolvedNamespaceOptions, link: StoreLink) {
    this.#context = context;
    this.#namespace = namespace;
    this.#options = options;
    this.#link = link;
    this.#counters = context.tally.of(namespace);
    this.#latencies = context.latencies.of(namespace);
  }

  /** The store has its copy when this returns, or the value has been copied here. Throws at once what is wrong with the call. */
  set(
    key: string,
    value: unknown,
    options: SetOptions,
    extras: WriteExtras = NO_EXTRAS,
  ): Promise<EntryFacts> {
    const codec = this.#codecFor(value, options, extras.exact ?? false);
    const facts = this.#prepare(codec, options, extras);
    return this.#storeInTurn(key, this.#encoded(key, value, codec, options), facts, options);
  }

  /** Begins to store values together. `store` is the one that the namespace is open in. */
  batch(store: BatchingStore): WriteBatch<SetOptions> {
    const together = store.batch();
    const started = performance.now();
    let last:
      | { readonly options: SetOptions; readonly codec: Codec; readonly facts: PreparedFacts }
      | undefined;
    return new WriteBatch({
      store: together,
      write: (key, value, options) => {
        const codec = this.#codecFor(value, options, false);
        if (last?.options !== options || last.codec !== codec) {
          last = { options, codec, facts: this.#prepare(codec, options, NO_EXTRAS) };
        }
        const { facts } = last;
        const encoded = this.#encoded(key, value, codec, options);
        if (isPending(encoded)) {
          return { size: Number.POSITIVE_INFINITY, stored: this.#storeInTurn(key, encoded, facts, options) };
        }
        const isAdded =
          this.#queue.isIdle(key) && together.add(key, encoded, this.#admitted(store, key, encoded, facts));
        if (isAdded) return undefined;
        return { size: encoded.byteLength, stored: this.#storeInTurn(key, encoded, facts, options) };
      },
      stored: (facts) => {
        this.#latencies.end("write", started, facts.length);
        for (const each of facts) this.#stored(each);
      },
    });
  }

  /** Stores what was encoded within this call, or is being encoded, once earlier writes of the key are there. */
  #storeInTurn(
    key: string,
    encoded: EncodedValue | Promise<EncodedValue>,
    facts: PreparedFacts,
    { transfer = false }: SetOptions,
  ): Promise<EntryFacts> {
    if (isPending(encoded)) {
      // It may fail before its turn has come, when nobody looks at it yet.
      encoded.catch(() => undefined);
      return this.#enqueue(key, async (store) => this.#store(store, key, await encoded, facts));
    }
    const store = this.#link.current;
    if (store !== undefined && this.#queue.isIdle(key)) return this.#store(store, key, encoded, facts);
    checkMemory(key, encoded);
    const own = transfer ? encoded : copyOfEncoded(encoded);
    return this.#enqueue(key, (opened) => this.#store(opened, key, own, facts));
  }

  /** The same without a promise: the thread waits for the store. Throws ERR_QUIVER_UNSUPPORTED where that can't be. */
  setSync(key: string, value: unknown, options: SetOptions): EntryFacts {
    const store = this.#link.current;
    if (store?.setSync === undefined || !this.#queue.isIdle(key)) throw needsPromise(this.#namespace, key);
    const codec = this.#codecFor(value, options, false);
    const facts = this.#prepare(codec, options, NO_EXTRAS);
    const encoded = this.#encoded(key, value, codec, options);
    if (isPending(encoded)) {
      encoded.catch(() => undefined);
      throw needsPromise(this.#namespace, key);
    }
    const started = performance.now();
    const stored = store.setSync(key, encoded, this.#admitted(store, key, encoded, facts));
    this.#latencies.end("write", started);
    return this.#stored(stored);
  }

  /** Stores what a stream brings: the bytes of the file as the codec would have written it. */
  stream(key: string, source: ByteStream, options: SetOptions): Promise<EntryFacts> {
    const { signal } = options;
    if (signal?.aborted) throw aborted(signal, `setting "${key}"`);
    const codec = this.#context.codecs.resolve(options.codec ?? this.#options.codec ?? "bin");
    const facts = this.#prepare(codec, options, NO_EXTRAS);
    return this.#enqueue(key, async (store) => {
      const writer = await store.writer(key, { extension: codec.extension, ...(signal && { signal }) });
      try {
        await pump(source, writer, {
          key,
          signal,
          admit: (size) => this.#admit(store, key, size),
        });
      } catch (error) {
        await writer.abort();
        throw error;
      }
      return this.#stored(await writer.commit(this.#factsIn(store, facts)));
    });
  }

  /** Runs another change of the key in its turn. */
  change<T>(key: string, operation: (store: StoreNamespace) => Promise<T>): Promise<T> {
    const store = this.#link.current;
    if (store !== undefined && this.#queue.isIdle(key)) return operation(store);
    return this.#enqueue(key, operation);
  }

  #enqueue<T>(key: string, operation: (store: StoreNamespace) => Promise<T>): Promise<T> {
    return this.#context.pending.add(
      this.#queue.write(key, async () => operation(this.#link.current ?? (await this.#link.open()))),
    );
  }

  #codecFor(value: unknown, options: SetOptions, exact: boolean): Codec {
    const named = options.codec ?? this.#options.codec;
    const { codecs } = this.#context;
    if (named !== null) return codecs.resolve(named);
    return exact ? codecs.forResult(value) : codecs.forValue(value);
  }

  #encoded(
    key: string,
    value: unknown,
    codec: Codec,
    { compression = this.#options.compression, signal, transfer = false }: SetOptions,
  ): EncodedValue | Promise<EncodedValue> {
    if (signal?.aborted) throw aborted(signal, `setting "${key}"`);
    const given: EncodeOptions =
      compression === undefined && signal === undefined
        ? NO_ENCODE_OPTIONS
        : { ...(compression !== undefined && { compression }), ...(signal && { signal }) };
    return codec.encode(transfer ? value : capture(value, codec), given);
  }

  /** The facts of a value that the limits admit. */
  #admitted(store: StoreNamespace, key: string, encoded: EncodedValue, prepared: PreparedFacts): NewFacts {
    checkMemory(key, encoded);
    this.#admit(store, key, encoded.byteLength);
    const { shape, dtype } = encoded;
    const facts = this.#factsIn(store, prepared);
    return shape === undefined && dtype === undefined
      ? facts
      : { ...facts, ...(shape && { shape }), ...(dtype !== undefined && { dtype }) };
  }

  #store(
    store: StoreNamespace,
    key: string,
    encoded: EncodedValue,
    prepared: PreparedFacts,
  ): Promise<EntryFacts> {
    const facts = this.#admitted(store, key, encoded, prepared);
    const started = performance.now();
    return store.set(key, encoded, facts).then((stored) => {
      this.#latencies.end("write", started);
      return this.#stored(stored);
    });
  }

  #stored(facts: EntryFacts): EntryFacts {
    const { events } = this.#context;
    this.#counters.sets++;
    if (events.has("set")) {
      events.emit("set", { namespace: this.#namespace, key: facts.key, size: facts.size });
    }
    this.#context.noteWrite();
    return facts;
  }

  /** The facts of a value. Those of values that are set without options are the same for all of a codec. */
  #prepare(codec: Codec, options: SetOptions, extras: WriteExtras): PreparedFacts {
    if (options !== NO_SET_OPTIONS || extras !== NO_EXTRAS) return this.#prepareOwn(codec, options, extras);
    if (this.#plain?.codec !== codec) {
      this.#plain = { codec, facts: this.#prepareOwn(codec, options, extras) };
    }
    return this.#plain.facts;
  }

  #prepareOwn(codec: Codec, options: SetOptions, { fence, staleTtl = 0 }: WriteExtras): PreparedFacts {
    const { metadata, tags, pinned, jitter = 0 } = options;
    if (!(jitter >= 0 && jitter < 1)) throw badOption("jitter", jitter, "a number from 0 to below 1");
    // Spreading what is mostly absent takes longer than the rest.
    const facts: { -readonly [Name in keyof NewFacts]: NewFacts[Name] } = {
      codec: codec.name,
      extension: codec.extension,
      expiresAt: null,
      priority:
        options.priority === undefined ? this.#options.priority : integer(options.priority, "priority"),
    };
    if (metadata !== undefined) facts.metadata = plainMetadata(metadata);
    if (tags !== undefined) facts.tags = plainTags(tags);
    if (pinned !== undefined) facts.pinned = flag(pinned, "pinned");
    if (fence !== undefined) facts.fence = fence;
    const ttl = options.ttl === undefined ? undefined : parseDuration(options.ttl, "ttl");
    return { jitter, staleTtl, ttl, facts };
  }

  #factsIn(store: StoreNamespace, { facts, ttl, jitter, staleTtl }: PreparedFacts): NewFacts {
    // A recorded null may mean "for ever" or that nobody said anything; only what this process says can tell.
    const recorded = store.settings.ttl ?? undefined;
    const lifetime = ttlOf(ttl, this.#options.settings.ttl, recorded, this.#context.options.ttl);
    if (lifetime === null) return facts;
    const time = now();
    const full = expiryOf(time, lifetime);
    if (full === null) return facts;
    const expiresAt = jitter === 0 ? full : Math.round(full - (full - time) * jitter * Math.random());
    return { ...facts, expiresAt, ...(staleTtl > 0 && { staleUntil: expiresAt + staleTtl }) };
  }

  /** Throws ERR_QUIVER_TOO_LARGE when a value of this size exceeds a limit by itself. */
  #admit(store: StoreNamespace, key: string, size: number): void {
    const { maxSize } = store.settings;
    if (maxSize !== null) checkAdmission(key, size, `namespace "${this.#namespace}"`, maxSize);
    const ofAll = this.#context.options.maxSize;
    if (ofAll !== null) checkAdmission(key, size, "the cache", ofAll);
  }
}

function needsPromise(namespace: string, key: string): QuiverError {
  return new QuiverError(
    "ERR_QUIVER_UNSUPPORTED",
    `namespace "${namespace}" can't set this value without a promise`,
    {
      key,
      hint: "Its store or codec has no synchronous form, the namespace is not open yet, or an earlier write of the key is under way.",
      fix: "Use `await namespace.set(key, value)`.",
    },
  );
}

const NO_ENCODE_OPTIONS: EncodeOptions = {};

/** Facts as far as they don't depend on when and where the value is stored. */
interface PreparedFacts {
  /** Of an entry that never expires. */
  readonly facts: NewFacts;
  readonly ttl: number | null | undefined;
  readonly jitter: number;
  readonly staleTtl: number;
}

/** A copy of metadata as it will be read back; throws ERR_QUIVER_BAD_OPTION unless it is a JSON object. */
export function plainMetadata(metadata: unknown): Readonly<Record<string, unknown>> {
  if (!isPlainObject(metadata)) throw badOption("metadata", metadata, "a plain object");
  try {
    return JSON.parse(JSON.stringify(metadata));
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "metadata can't be written as JSON", { cause });
  }
}

/** A copy of tags; throws ERR_QUIVER_BAD_OPTION unless they are non-empty strings. */
export function plainTags(tags: unknown): readonly string[] {
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === "string" && tag !== "")) return [...tags];
  throw badOption("tags", tags, "an array of non-empty strings");
}
