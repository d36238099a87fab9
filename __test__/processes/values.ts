/** Values that say themselves what they are, so that any reader can tell a right one from a wrong one. */

/** Written in front of the pattern: key, sequence number and length in a line of this many bytes. */
const HEAD = 256;

/** The bytes that the write number `sequence` stores under `key`: `length` of them, at least 256. */
export function makeValue(key: string, sequence: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, HEAD));
  const head = JSON.stringify({ key, sequence, length: bytes.byteLength });
  new TextEncoder().encodeInto(`${head.padEnd(HEAD - 1)}\n`, bytes);
  fillPattern(bytes, sequence + bytes.byteLength);
  return bytes;
}

/**
 * The sequence number of a value read under `key`. Throws, saying what is wrong, when it is another key's value, cut
 * off, or has a byte that its writer did not write.
 */
export function checkValue(key: string, bytes: Uint8Array): number {
  const text = new TextDecoder().decode(bytes.subarray(0, HEAD));
  let head: { key: string; sequence: number; length: number };
  try {
    head = JSON.parse(text);
  } catch {
    throw new Error(
      `the value of ${key} (${bytes.byteLength} bytes) begins with ${JSON.stringify(text.slice(0, 60))}`,
    );
  }
  if (head.key !== key) throw new Error(`under ${key} lies a value of ${head.key}`);
  if (head.length !== bytes.byteLength) {
    throw new Error(`the value ${head.sequence} of ${key} has ${bytes.byteLength} of ${head.length} bytes`);
  }
  const expected = makeValue(key, head.sequence, head.length);
  if (Buffer.compare(expected, bytes) !== 0) {
    const at = expected.findIndex((byte, index) => byte !== bytes[index]);
    throw new Error(`the value ${head.sequence} of ${key} differs at byte ${at} of ${head.length}`);
  }
  return head.sequence;
}

function fillPattern(bytes: Uint8Array, seed: number): void {
  const words = new Uint32Array(bytes.buffer, HEAD, (bytes.byteLength - HEAD) >>> 2);
  let state = Math.imul(seed, 0x9e37_79b1) | 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
}
