/** The files of a dataset as array buffers, each mapped when it is first asked for. */

import { markAsUntransferable } from "node:worker_threads";
import type { DatasetHandle } from "../native/datasets.ts";
import type { Block } from "./blocks.ts";

export class MappedFiles {
  readonly #handle: DatasetHandle;
  readonly #buffers: ArrayBuffer[] = [];

  constructor(handle: DatasetHandle) {
    this.#handle = handle;
  }

  /** Writing to it changes only this process's copy of the touched pages. */
  buffer(file: number): ArrayBuffer {
    const known = this.#buffers[file];
    if (known !== undefined) return known;
    const buffer = this.#handle.map(file);
    // Transferred to a worker it would be gone from the views here.
    markAsUntransferable(buffer);
    this.#buffers[file] = buffer;
    return buffer;
  }

  bytes(file: number, start: number, length: number): Uint8Array {
    return new Uint8Array(this.buffer(file), start, length);
  }

  /** Whether row `row` of a block, counted from its first, is null. */
  isNull({ file, validity, nulls }: Block, row: number): boolean {
    if (nulls === 0 || validity < 0) return false;
    const byte = this.bytes(file, validity + (row >> 3), 1)[0] ?? 0;
    return ((byte >> (row & 7)) & 1) === 0;
  }

  /** Where row `row` of a block starts and ends, as its offsets say. */
  bounds({ file, offsets, offsetWidth }: Block, row: number): readonly [start: number, end: number] {
    const view = new DataView(this.buffer(file), offsets + row * offsetWidth, 2 * offsetWidth);
    if (offsetWidth === 4) return [view.getInt32(0, true), view.getInt32(4, true)];
    return [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
  }
}
