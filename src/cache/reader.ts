/** Reading: from the hot tier where it can be, else from the store, decoded and made fit for sharing. */

import type { Codec, DecodeContext } from "../codecs/codec.ts";
import { QuiverError } from "../shared/errors.ts";
import type { StoredValue, StoreNamespace } from "../stores/store.ts";
import type { CodecSet } from "./codec-set.ts";
import type { HotNamespace } from "./hot.ts";
import { share } from "./sharing.ts";

/** A value that was found. Wrapped, because undefined means that there is none. */
export interface Found {
  readonly value: unknown;
}

export class Reader {
  readonly #codecs: CodecSet;

  constructor(codecs: CodecSet) {
    this.#codecs = codecs;
  }

  /** The value as the store has it, held from now on. */
  async load(store: StoreNamespace, hot: HotNamespace, key: string): Promise<Found | undefined> {
    const epoch = hot.epoch();
    const stored = await store.get(key);
    if (stored === undefined) return undefined;
    const codec = this.#codecs.named(stored.codec);
    const value = await decode(codec, stored, key);
    return this.#hold(hot, key, { value, codec, stored, epoch });
  }

  /** The same without a promise; throws ERR_QUIVER_UNSUPPORTED where the store can't. */
  loadSync(store: StoreNamespace, hot: HotNamespace, key: string): Found | undefined {
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
    const stored = store.getSync(key);
    if (stored === undefined) return undefined;
    const codec = this.#codecs.named(stored.codec);
    const value = codec.decode(stored.bytes, contextOf(stored, key));
    return this.#hold(hot, key, { value, codec, stored, epoch });
  }

  /** A replaced value that is still kept; never held. */
  async loadVersion(store: StoreNamespace, key: string, version: number): Promise<Found | undefined> {
    const stored = await store.get(key, { version });
    if (stored === undefined) return undefined;
    const codec = this.#codecs.named(stored.codec);
    return { value: share(await decode(codec, stored, key), codec, stored).value };
  }

  #hold(
    hot: HotNamespace,
    key: string,
    read: { value: unknown; codec: Codec; stored: StoredValue; epoch: number },
  ): Found {
    const { stored, epoch } = read;
    const shareable = share(read.value, read.codec, stored);
    hot.hold(key, { ...shareable, stored, epoch });
    return shareable;
  }
}

function decode(codec: Codec, stored: StoredValue, key: string): unknown {
  const context = contextOf(stored, key);
  return codec.decodeAsync?.(stored.bytes, context) ?? codec.decode(stored.bytes, context);
}

function contextOf({ mapped, verify, ready }: StoredValue, key: string): DecodeContext {
  return { key, mapped, ...(verify && { verify }), ...(ready && { ready }) };
}
