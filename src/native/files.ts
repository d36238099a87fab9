/** Mapped files that belong to no cache. */

import { addon } from "./addon.ts";
import { MappedBytes } from "./mapped-bytes.ts";
import { translated } from "./tensor.ts";

/** A mapped file. */
export interface MappedFile {
  readonly parts: MappedBytes;
  /** All of it. */
  readonly bytes: Uint8Array;
  /** Nothing of the file has been cut off so far; some 100 ns. What was cut off reads as zeros. */
  isWhole(): boolean;
}

const map = translated(addon.mapFile);

/** Maps an open file, which may be closed afterwards; undefined where it is to be read instead. */
export function mapFile(descriptor: number): MappedFile | undefined {
  const file = map(descriptor);
  if (file === null) return undefined;
  const { byteLength } = file;
  const memory = translated((start: number, end: number) => file.memory(start, end));
  const parts = new MappedBytes({ byteLength, memory });
  return {
    parts,
    get bytes() {
      return parts.all;
    },
    isWhole: () => file.whole,
  };
}
