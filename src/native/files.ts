/** Mapped files that belong to no cache. */

import { addon } from "./addon.ts";
import { asQuiverError } from "./tensor.ts";

/** A whole file in memory. */
export interface MappedBytes {
  readonly buffer: ArrayBuffer;
  /** Nothing of the file has been cut off so far; some 100 ns. What was cut off reads as zeros. */
  isWhole(): boolean;
}

/** Maps an open file, which may be closed afterwards; undefined where it is to be read instead. */
export function mapFile(descriptor: number): MappedBytes | undefined {
  try {
    const mapped = addon.mapFile(descriptor);
    if (mapped === null) return undefined;
    const [buffer, file] = mapped;
    return { buffer, isWhole: () => file.whole };
  } catch (error) {
    throw asQuiverError(error);
  }
}
