/** Bytes that grow as tagged pieces are appended. */

const SMALLEST = 256;

export class Form {
  #buffer = Buffer.allocUnsafe(SMALLEST);
  #length = 0;

  /** A view on what has been written, valid until the next write. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** A whole number up to 2^53 - 1, seven bits a byte, the lowest first. */
  count(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  /** Eight bytes, little-endian. */
  double(value: number): void {
    this.#reserve(8);
    this.#buffer.writeDoubleLE(value, this.#length);
    this.#length += 8;
  }

  /** The length in bytes, then the bytes. */
  raw(bytes: Uint8Array): void {
    this.count(bytes.byteLength);
    this.#reserve(bytes.byteLength);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.byteLength;
  }

  /** The length in bytes, then the text. */
  text(value: string, encoding: "utf8" | "utf16le" = "utf8"): void {
    const length = Buffer.byteLength(value, encoding);
    this.count(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length, encoding);
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#buffer.byteLength) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.byteLength));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
