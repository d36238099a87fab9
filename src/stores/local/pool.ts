/**
 * Memory for small values that are soon forgotten. An ArrayBuffer of its own would cost more than finding the value:
 * it is allocated and cleared, and the garbage collector has one thing more to look after.
 */

import { markAsUntransferable } from "node:worker_threads";
import { freshMemory } from "../../native/memory.ts";

/** Bytes allocated at once. */
const SLAB = 128 * 1024;

/** So that typed arrays of every type, and vector instructions, find their elements aligned. A power of two. */
const ALIGNMENT = 64;

export class Pool {
  /** Free from `used` on. */
  slab: ArrayBuffer = new ArrayBuffer(0);
  used = 0;

  /** The next bytes of the slab, which has that many left. */
  take(byteLength: number): Uint8Array {
    const bytes = new Uint8Array(this.slab, this.used, byteLength);
    this.used = (this.used + byteLength + ALIGNMENT - 1) & -ALIGNMENT;
    return bytes;
  }

  /** A copy of the bytes, in a fresh slab unless they are many. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength > SLAB / 8) return bytes.slice();
    this.slab = freshMemory(SLAB);
    // A transfer of one value would empty all others.
    markAsUntransferable(this.slab);
    this.used = 0;
    const own = this.take(bytes.byteLength);
    own.set(bytes);
    return own;
  }
}
