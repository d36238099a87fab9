/** Memory that this isolate and the add-on have in common, through which look-ups go; laid out as in its `lookup.rs`. */

/** Where its parts lie, in bytes. */
const NUMBERS_AT = 16;
const CONTENT_AT = 40;
const CODEC_AT = 64;
const VALUE_AT = 320;
const KEY_AT: number = VALUE_AT + 64 * 1024;

/** The number of all codecs beyond those that the add-on numbers. */
const UNNUMBERED = 0xffff_ffff;

export class Exchange {
  // Fields, and no private ones: every read asks for most of them, in code that is not optimised at first.
  /** Stamp, slot, epoch, number of the codec; then content id and times, which the views below show; length of its name. */
  readonly words: Uint32Array;
  /** Made at, expires at (Infinity = never), size. */
  readonly numbers: Float64Array;
  /** Content id of a value in a file. */
  readonly content: BigUint64Array;
  /** Names of codecs by their numbers, as far as they were met. */
  readonly codecs: string[] = [];
  readonly #memory: ArrayBuffer;
  readonly #text: Buffer;

  constructor(memory: ArrayBuffer) {
    this.words = new Uint32Array(memory, 0, 13);
    this.numbers = new Float64Array(memory, NUMBERS_AT, 3);
    this.content = new BigUint64Array(memory, CONTENT_AT, 1);
    this.#memory = memory;
    this.#text = Buffer.from(memory);
  }

  /** The name of the codec of what was found, remembered by its number. */
  learnCodec(): string {
    const number = this.words[3] as number;
    const name = this.#text.toString("latin1", CODEC_AT, CODEC_AT + (this.words[12] as number));
    if (number !== UNNUMBERED) this.codecs[number] = name;
    return name;
  }

  /** The packed value that was found, until the next look-up. */
  view(size: number): Uint8Array {
    return new Uint8Array(this.#memory, VALUE_AT, size);
  }

  /** Puts a key in; its length in UTF-8. */
  writeKey(key: string): number {
    return this.#text.write(key, KEY_AT);
  }
}
