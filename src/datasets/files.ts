/** The files of a dataset as array buffers, mapped when they are first asked for. */

import { markAsUntransferable } from "node:worker_threads";
import type { DatasetHandle } from "../native/datasets.ts";
import { checkArrayLength, LARGEST_ARRAY } from "../shared/largest-array.ts";
import type { Block } from "./blocks.ts";

/** Files longer than an array are mapped in parts that overlap by half: bytes from one part to the next. */
const STEP = LARGEST_ARRAY / 2;

/** Where bytes of a file lie in memory. */
export interface Place {
  readonly buffer: ArrayBuffer;
  /** Where in the buffer. */
  readonly at: number;
}

export class MappedFiles {
  readonly #handle: DatasetHandle;
  /** By file, then by the part's number. */
  readonly #buffers: ArrayBuffer[][] = [];

  constructor(handle: DatasetHandle) {
    this.#handle = handle;
  }

  /**
   * Some bytes of a file. Writing to them changes only this process's copy of the touched pages. Throws
   * ERR_QUIVER_TOO_LARGE for more than an array buffer holds.
   */
  place(file: number, start: number, length: number): Place {
    const size = this.#handle.description.files[file]?.bytes ?? 0;
    const part = size <= LARGEST_ARRAY ? 0 : Math.floor(start / STEP);
    const first = part * STEP;
    const end = Math.min(first + LARGEST_ARRAY, size);
    if (start + length <= end) {
      return { buffer: this.#part(file, part, first, end - first), at: start - first };
    }
    checkLength(length);
    return { buffer: this.#map(file, start, length), at: 0 };
  }

  bytes(file: number, start: number, length: number): Uint8Array {
    const { buffer, at } = this.place(file, start, length);
    return new Uint8Array(buffer, at, length);
  }

  /** Whether row `row` of a block, counted from its first, is null. */
  isNull({ file, validity, nulls }: Block, row: number): boolean {
    if (nulls === 0 || validity < 0) return false;
    const byte = this.bytes(file, validity + (row >> 3), 1)[0] ?? 0;
    return ((byte >> (row & 7)) & 1) === 0;
  }

  /** Where row `row` of a block starts and ends, as its offsets say. */
  bounds({ file, offsets, offsetWidth }: Block, row: number): readonly [start: number, end: number] {
    const { buffer, at } = this.place(file, offsets + row * offsetWidth, 2 * offsetWidth);
    const view = new DataView(buffer, at, 2 * offsetWidth);
    if (offsetWidth === 4) return [view.getInt32(0, true), view.getInt32(4, true)];
    return [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
  }

  #part(file: number, part: number, start: number, length: number): ArrayBuffer {
    const known = this.#buffers[file]?.[part];
    if (known !== undefined) return known;
    const buffer = this.#map(file, start, length);
    const parts = this.#buffers[file] ?? [];
    parts[part] = buffer;
    this.#buffers[file] = parts;
    return buffer;
  }

  #map(file: number, start: number, length: number): ArrayBuffer {
    const buffer = this.#handle.map(file, start, length);
    // Transferred to a worker it would be gone from the views here.
    markAsUntransferable(buffer);
    return buffer;
  }
}

/** Throws ERR_QUIVER_TOO_LARGE for more bytes than this Node has array buffers for. */
export function checkLength(bytes: number): void {
  checkArrayLength(
    bytes,
    "what was asked for",
    "Take fewer rows at a time: slice() a part, or go through batches().",
  );
}
