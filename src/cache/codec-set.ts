/** The codecs that a cache knows: the user's own before those of the package. */

import type { Codec, EncodedValue } from "../codecs/codec.ts";
import { codecByResult, codecByValue, codecFor, codecs } from "../codecs/registry.ts";
import { QuiverError } from "../shared/errors.ts";

/** A codec by name, or the user's own object. */
export type CodecOption = string | Codec;

export class CodecSet {
  readonly #own: Codec[] = [];
  readonly #named = new Map<string, Codec>();

  constructor(own: readonly Codec[]) {
    for (const codec of own) this.add(codec);
  }

  /** Makes a codec known, so that entries written with it can be read. Of two with one name the later counts. */
  add(codec: Codec): void {
    this.#own.unshift(codec);
    this.#named.set(codec.name, codec);
  }

  /** The codec that an option means; throws ERR_QUIVER_CODEC_UNKNOWN. */
  resolve(option: CodecOption): Codec {
    if (typeof option === "string") return this.named(option);
    if (this.#named.get(option.name) !== option) this.add(option);
    return option;
  }

  /** Throws ERR_QUIVER_CODEC_UNKNOWN. */
  named(name: string): Codec {
    let codec = this.#named.get(name);
    if (codec === undefined) {
      codec = codecFor(name, this.#own);
      this.#named.set(name, codec);
    }
    return codec;
  }

  /** The first that accepts the value; throws ERR_QUIVER_BAD_VALUE. */
  forValue(value: unknown): Codec {
    return codecByValue(value, this.#candidates());
  }

  /** The one that gives a computed value back as it was; throws ERR_QUIVER_BAD_VALUE. */
  forResult(value: unknown): Codec {
    return codecByResult(value, this.#candidates());
  }

  #candidates(): readonly Codec[] {
    return this.#own.length === 0 ? codecs : [...this.#own, ...codecs];
  }
}

/** Throws ERR_QUIVER_BAD_OPTION unless `value` looks like a codec. */
export function checkCodec(value: unknown, field: string): asserts value is Codec {
  const codec = value as Partial<Codec> | null;
  const complete =
    typeof codec === "object" &&
    codec !== null &&
    typeof codec.name === "string" &&
    typeof codec.extension === "string" &&
    [codec.accepts, codec.encode, codec.decode].every((member) => typeof member === "function");
  if (complete) return;
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${field} is no codec`, {
    fix: "Give the name of a codec, or an object { name, extension, sharing, accepts, encode, decode }.",
  });
}

/** Whether encoding is still going on. */
export function isPending(encoded: EncodedValue | Promise<EncodedValue>): encoded is Promise<EncodedValue> {
  return "then" in encoded;
}
