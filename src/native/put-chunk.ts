/**
 * Packed values on their way to the add-on, gathered in memory that one call hands over: a call for each would take
 * longer than copying a small value. The layout is described in the add-on's `chunk.rs`.
 */

/** A value to be packed, with facts that it has in common with others. */
export interface PackedPut {
  /** Number of the namespace. */
  readonly handle: number;
  readonly key: string;
  /** Number of the facts. */
  readonly manner: number;
  readonly expiresAt: number | null;
  /** Number of the right to compute under which it was made. */
  readonly fence?: number | undefined;
  /** Copied within the call. */
  readonly bytes: Uint8Array;
}

/** Room for 64 of the largest values. */
const CAPACITY = 1024 * 1024 + 64 * 1024;
/** Bytes that are handed over before more are gathered: the writer's thread begins with them. */
const HEAVY = 32 * 1024;
/** As many are committed together. */
const MOST = 1024;

const HEAD = 32;
const ALIGNMENT = 8;

/** Keys up to this many units are written unit by unit, which is quicker than a call. */
const SHORT_KEY = 48;

export class PutChunk {
  readonly #bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #words: Uint32Array;
  readonly #numbers: Float64Array;
  #count = 0;
  #used = 0;

  constructor() {
    const memory = new ArrayBuffer(CAPACITY);
    this.#bytes = new Uint8Array(memory);
    this.#text = Buffer.from(memory);
    this.#words = new Uint32Array(memory);
    this.#numbers = new Float64Array(memory);
  }

  /** What there is is worth the writer's while. */
  get isHeavy(): boolean {
    return this.#used >= HEAVY;
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Adds a value; false where there is no room until the chunk is taken. */
  add({ handle, key, manner, expiresAt, fence, bytes }: PackedPut): boolean {
    const start = this.#used;
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (this.#count === MOST || start + HEAD + key.length * 3 + bytes.byteLength > CAPACITY) return false;
    const keyAt = start + HEAD;
    const keyLength = this.#writeKey(key, keyAt);
    const valueAt = keyAt + keyLength;
    this.#bytes.set(bytes, valueAt);
    const words = this.#words;
    const word = start / 4;
    words[word] = handle;
    words[word + 1] = manner;
    words[word + 2] = keyLength;
    words[word + 3] = bytes.byteLength;
    const number = start / 8 + 2;
    this.#numbers[number] = expiresAt ?? Number.NaN;
    this.#numbers[number + 1] = fence ?? Number.NaN;
    this.#count++;
    this.#used = Math.ceil((valueAt + bytes.byteLength) / ALIGNMENT) * ALIGNMENT;
    return true;
  }

  /** What was added, until the next `add`; then the chunk is empty. */
  take(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    this.#count = 0;
    return bytes;
  }

  /** The length of the key in UTF-8. */
  #writeKey(key: string, at: number): number {
    const { length } = key;
    if (length > SHORT_KEY) return this.#text.write(key, at);
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) {
      const unit = key.charCodeAt(index);
      if (unit > 127) return this.#text.write(key, at);
      bytes[at + index] = unit;
    }
    return length;
  }
}
