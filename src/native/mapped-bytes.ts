/** Memory outside V8's heap as JavaScript sees it: all of it, or windows on as little as is asked for. */

import { markAsUntransferable } from "node:worker_threads";

/** Memory of the add-on that stays where it is while this is referenced. */
export interface NativeMemory {
  readonly byteLength: number;
  /** A new array buffer over `[start, end)`, one byte at least, that holds the memory as well. */
  memory(start: number, end: number): ArrayBuffer;
}

/** Bytes of the first window, and the most that a later one has. */
const FIRST_WINDOW = 64 * 1024;
const LARGEST_WINDOW = 1024 * 1024;

/** By how much the next one is larger. */
const FACTOR = 4;

/** Whoever asks for more parts than lie in these is likely to ask for all. */
const MOST_WINDOWS = 4;

/** Of no more bytes there are no windows. */
const SMALL = 4 * 1024 * 1024;

/** A system's pages begin at multiples of this, so elements in a window are aligned as they are in the file. */
const PAGE = 4096;

interface Window {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** From each buffer to the bytes it is of, so that those can be found again for as long as anybody holds one. */
const bytesOfBuffer = new WeakMap<ArrayBufferLike, MappedBytes>();

/**
 * Bytes of a value, which need no array buffer until they are looked at. V8 counts what such buffers cover as memory of its
 * own and begins a collection every 64 MiB, which takes milliseconds; so the first row of a large matrix is shown through
 * a window of 64 KiB, of which it takes a thousand. Each window is four times as large as the one before, up to 1 MiB. The
 * fifth that would be needed, and any part that fits none, makes the buffer over all.
 */
export class MappedBytes {
  readonly byteLength: number;
  readonly #memory: NativeMemory;
  readonly #windows: Window[] = [];
  #all: Uint8Array | undefined;

  constructor(memory: NativeMemory) {
    this.byteLength = memory.byteLength;
    this.#memory = memory;
  }

  /** Parts may come at less expense than all. */
  get isLarge(): boolean {
    return this.byteLength > SMALL;
  }

  /** Every byte. Throws ERR_QUIVER_TOO_LARGE where no array has room for so many. */
  get all(): Uint8Array {
    this.#all ??= this.#view(0, this.byteLength);
    return this.#all;
  }

  /** The bytes `[start, end)`, a view on the same memory. */
  part(start: number, end: number): Uint8Array {
    // Nothing lies at the end of the memory to have a window over, and elements of any size may begin here.
    if (start === end) return new Uint8Array(0);
    const window = this.#windowOver(start, end);
    return window === undefined
      ? this.all.subarray(start, end)
      : window.bytes.subarray(start - window.start, end - window.start);
  }

  #windowOver(start: number, end: number): Window | undefined {
    if (this.#all !== undefined || !this.isLarge) return undefined;
    const found = this.#windows.find((window) => window.start <= start && end <= window.end);
    if (found !== undefined || this.#windows.length === MOST_WINDOWS) return found;
    const first = start - (start % PAGE);
    let size = FIRST_WINDOW * FACTOR ** this.#windows.length;
    while (first + size < end) size *= FACTOR;
    const last = Math.min(first + Math.min(size, LARGEST_WINDOW), this.byteLength);
    if (end > last) return undefined;
    const window = { start: first, end: last, bytes: this.#view(first, last) };
    this.#windows.push(window);
    return window;
  }

  #view(start: number, end: number): Uint8Array {
    const buffer = this.#memory.memory(start, end);
    // Transferred to a worker it would be a silent copy of everything, and empty here.
    markAsUntransferable(buffer);
    bytesOfBuffer.set(buffer, this);
    return new Uint8Array(buffer);
  }
}
