/** Long byte work in slices, between which the event loop runs. */

import { Crc32 } from "../native/tensor.ts";

/** Summing or copying this much takes about a millisecond. */
const SLICE = 4 * 1024 * 1024;

/** Views on consecutive parts of `bytes`. */
export function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += SLICE) yield bytes.subarray(start, start + SLICE);
}

/** CRC-32 of the pieces, in order, at once. */
export function crcOf(...pieces: readonly Uint8Array[]): number {
  const crc = new Crc32();
  for (const piece of pieces) crc.update(piece);
  return crc.value;
}

/** The same without holding up the event loop. */
export async function crcOfLarge(...pieces: readonly Uint8Array[]): Promise<number> {
  const crc = new Crc32();
  let sinceYield = 0;
  for (const piece of pieces) {
    for (const slice of slices(piece)) {
      crc.update(slice);
      sinceYield += slice.byteLength;
      if (sinceYield >= SLICE) {
        sinceYield = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }
  return crc.value;
}
