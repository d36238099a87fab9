/** Reading: from the hot tier where it can be, else from the store, decoded and made fit for sharing. */

import { bin } from "../codecs/bin.ts";
import type { Codec, DecodeContext } from "../codecs/codec.ts";
import { decodeStored, decodeStoredAsync } from "../codecs/context.ts";
import { RememberedError } from "../codecs/remembered-error.ts";
import { collectGarbage } from "../shared/collect.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { type ReadOptions, type StoredValue, type StoreNamespace, sizeOf } from "../stores/store.ts";
import type { CodecSet } from "./codec-set.ts";
import type { HotNamespace } from "./hot.ts";
import { type ObjectSharing, share, shareOnce } from "./sharing.ts";

/** When stored bytes are compared with their sums; see `CacheOptions.verify`. */
export type VerifyMode = "touch" | "full" | "never";

/** For values that are not held in memory, or not yet. */
const POOLED: ReadOptions = { pooled: true };

/** What was decoded is held from this reading of one and the same value on. */
const DECODED_FROM = 2;

/**
 * Bytes as they are, once their readings have copied as many, each counted as so many more. To hold a copy and let go of it
 * again, with all that V8 does for it, costs as much as dozens of look-ups: of values that are often replaced it takes more
 * than it saves. Four processes that write every twentieth time do a quarter more than when the second reading was enough.
 */
const COPIED = 256 * 1024;
const LOOK_UP = 4 * 1024;

/** There is no value, which may be undefined itself. */
export const NOTHING: unique symbol = Symbol("nothing");

/** A value that was found. Wrapped, because undefined means that there is none. */
export interface Found {
  readonly value: unknown;
  readonly createdAt: number;
  /** In the past where a stale value was asked for; null = never. */
  readonly expiresAt: number | null;
}

export class Reader {
  readonly #codecs: CodecSet;
  readonly #verify: VerifyMode;
  readonly #objects: ObjectSharing;

  constructor(codecs: CodecSet, { verify, objects }: { verify: VerifyMode; objects: ObjectSharing }) {
    this.#codecs = codecs;
    this.#verify = verify;
    this.#objects = objects;
  }

  /** The value as the store has it, held from now on. */
  async load(
    store: StoreNamespace,
    hot: HotNamespace,
    key: string,
    stale = false,
  ): Promise<Found | undefined> {
    const epoch = hot.epoch();
    const pending = unlessCrowded(hot, () => (stale ? store.get(key, { stale }) : store.get(key)));
    return this.#finish(pending, hot, key, epoch);
  }

  /**
   * The same, without a promise where the store answers at once with a value that is decoded on this thread anyway. May
   * throw instead of rejecting.
   */
  loadAtOnce(
    store: StoreNamespace,
    hot: HotNamespace,
    key: string,
  ): Found | undefined | Promise<Found | undefined> {
    if (store.getAtOnce === undefined) return this.load(store, hot, key);
    const epoch = hot.epoch();
    let stored: StoredValue | undefined | Promise<StoredValue | undefined>;
    try {
      stored = store.getAtOnce(key, POOLED);
    } catch (error) {
      if (isCrowded(error)) return this.load(store, hot, key);
      throw error;
    }
    if (stored === undefined) return undefined;
    if (stored instanceof Promise) return this.#finish(stored, hot, key, epoch);
    if (this.#isHandedOver(hot, stored)) {
      return { value: stored.bytes, createdAt: stored.createdAt, expiresAt: stored.expiresAt };
    }
    return this.#takesLong(stored)
      ? this.#finish(stored, hot, key, epoch)
      : this.#decodeAtOnce(hot, key, stored, epoch);
  }

  /** Whether decoding inflates, even a small value, or all of a large one is compared with its sums before. */
  #takesLong({ codec: name, ready }: StoredValue): boolean {
    const codec = this.#codecs.named(name);
    if (codec.decodeAsync !== undefined) return true;
    return ready !== undefined && (codec.whole === true || this.#verify === "full");
  }

  #decodeAtOnce(hot: HotNamespace, key: string, stored: StoredValue, epoch: number): Found {
    const codec = this.#codecs.named(stored.codec);
    const own = hot.canHold ? this.#toHold(hot, codec, stored) : undefined;
    const value = decodeStored(codec, own ?? stored, this.#contextOf(stored, key));
    return own === undefined || isAskedForEachTime(value, stored)
      ? this.#handOver(value, codec, stored)
      : this.#hold(hot, key, { value, codec, stored: own, epoch });
  }

  #handOver(value: unknown, codec: Codec, { createdAt, expiresAt }: StoredValue): Found {
    return { value: shareOnce(value, codec, this.#objects), createdAt, expiresAt };
  }

  /**
   * What is to be held of a value just read, if it is: no view on memory that values share, which it would keep, and no
   * parsed value that may never be asked for again, unless all callers are to have the one object.
   */
  #toHold(hot: HotNamespace, codec: Codec, stored: StoredValue): StoredValue | undefined {
    const isParsed = codec.sharing === "frozen";
    const isHeldAtOnce = isParsed ? this.#objects === "shared" : ownsItsMemory(stored);
    if (isHeldAtOnce) return stored;
    if (!hot.isWorthHolding(stored, codec === bin ? bytesFrom(stored) : DECODED_FROM)) return undefined;
    return isParsed ? stored : { ...stored, bytes: stored.bytes.slice() };
  }

  async #finish(
    pending: StoredValue | Promise<StoredValue | undefined>,
    hot: HotNamespace,
    key: string,
    epoch: number,
  ): Promise<Found | undefined> {
    const stored = await pending;
    if (stored === undefined) return undefined;
    const codec = this.#codecs.named(stored.codec);
    const own = this.#toHold(hot, codec, stored);
    const value = await this.#decode(codec, own ?? stored, key);
    return own === undefined || isAskedForEachTime(value, stored)
      ? this.#handOver(value, codec, stored)
      : this.#hold(hot, key, { value, codec, stored: own, epoch });
  }

  /**
   * Whether it is bytes as they are, not to be held yet: there is nothing to decode, nothing to hold and nothing to check.
   * Many reads are such, in code that has hardly run and is not optimised, where all that would take as long as the
   * look-up. From now on the value has been read once more. `bytesFrom` is written out: one smaller V8 would
   * optimise amid the first thousand reads, and to wake its thread for that takes as long as a hundred of them.
   */
  #isHandedOver(hot: HotNamespace, stored: StoredValue): boolean {
    if (stored.pooled !== true || stored.verify !== undefined) return false;
    if (this.#codecs.named(stored.codec) !== bin) return false;
    return !hot.isWorthHolding(stored, COPIED / (LOOK_UP + stored.bytes.byteLength));
  }

  /** The value without a promise, or NOTHING; throws ERR_QUIVER_UNSUPPORTED where the store can't. */
  loadSync(store: StoreNamespace, hot: HotNamespace, key: string): unknown {
    if (store.getSync === undefined) {
      throw new QuiverError(
        "ERR_QUIVER_UNSUPPORTED",
        `namespace "${store.name}" can only be read with await`,
        {
          key,
          fix: "Use `await namespace.get(key)`.",
        },
      );
    }
    const epoch = hot.epoch();
    let stored: StoredValue | undefined;
    try {
      stored = store.getSync(key, POOLED);
    } catch (error) {
      if (isCrowded(error)) makeRoom(hot);
      throw error;
    }
    if (stored === undefined) return NOTHING;
    if (this.#isHandedOver(hot, stored)) return stored.bytes;
    if (this.#verify === "full") stored.verify?.(0, sizeOf(stored));
    const { value } = this.#decodeAtOnce(hot, key, stored, epoch);
    return value instanceof RememberedError ? NOTHING : value;
  }

  /** A replaced value that is still kept; never held. */
  async loadVersion(store: StoreNamespace, key: string, version: number): Promise<Found | undefined> {
    const stored = await store.get(key, { version });
    if (stored === undefined) return undefined;
    const codec = this.#codecs.named(stored.codec);
    const { value } = share(await this.#decode(codec, stored, key), codec, stored, this.#objects);
    return { value, createdAt: stored.createdAt, expiresAt: stored.expiresAt };
  }

  #hold(
    hot: HotNamespace,
    key: string,
    read: { value: unknown; codec: Codec; stored: StoredValue; epoch: number },
  ): Found {
    const { stored, epoch } = read;
    const { value, memory, weight } = share(read.value, read.codec, stored, this.#objects);
    hot.hold(key, { value, memory, weight, stored, epoch });
    return { value, createdAt: stored.createdAt, expiresAt: stored.expiresAt };
  }

  async #decode(codec: Codec, stored: StoredValue, key: string): Promise<unknown> {
    if (this.#verify === "full") await stored.ready?.(0, sizeOf(stored));
    const context = this.#contextOf(stored, key);
    if (codec.whole) await context.ready?.(0, sizeOf(stored));
    return decodeStoredAsync(codec, stored, context);
  }

  /** Values that were verified whole, or never are to be, come without the means to. */
  #contextOf({ mapped, verify, ready }: StoredValue, key: string): DecodeContext {
    if (this.#verify !== "touch" || verify === undefined) return { key, mapped };
    return { key, mapped, verify, ...(ready && { ready }) };
  }
}

/** The reading from which on bytes are held: the 52nd of 1 KB, the 19th of 10 KB. */
function bytesFrom({ bytes }: StoredValue): number {
  return COPIED / (LOOK_UP + bytes.byteLength);
}

/** Whether nothing else lies in the memory that a value is a view on. */
function ownsItsMemory(stored: StoredValue): boolean {
  return stored.parts !== undefined || stored.bytes.byteLength === stored.bytes.buffer.byteLength;
}

/** Bytes in a mapped file can't tell that the file was cut short, as a tensor does: the store looks each time. */
function isAskedForEachTime(value: unknown, stored: StoredValue): boolean {
  return stored.mapped && value instanceof Uint8Array;
}

/** Calls again without the views that only memory holds, where those are in the way of one more. */
async function unlessCrowded<T>(hot: HotNamespace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isCrowded(error)) throw error;
    hot.dropViews();
    return read();
  }
}

/** What is only held in memory or not used any more is gone by the next turn of the event loop, for who tries again. */
function makeRoom(hot: HotNamespace): void {
  hot.dropViews();
  void collectGarbage();
}

function isCrowded(error: unknown): boolean {
  return isQuiverError(error, "ERR_QUIVER_TOO_MANY_MAPPINGS");
}
