/** Which values are let in at all. */

import { QuiverError } from "../shared/errors.ts";
import { formatSize } from "../shared/units.ts";

/** A limit in bytes and whose it is; null = none. */
export interface SizeLimit {
  /** For the message: "the cache", "namespace \"stencils\"". */
  readonly owner: string;
  readonly bytes: number | null;
}

/**
 * Throws ERR_QUIVER_TOO_LARGE when a value alone exceeds one of the limits that it counts against: evicting
 * everything else would not make it fit.
 */
export function checkAdmission(key: string, byteLength: number, limits: readonly SizeLimit[]): void {
  for (const { owner, bytes } of limits) {
    if (bytes === null || byteLength <= bytes) continue;
    throw new QuiverError(
      "ERR_QUIVER_TOO_LARGE",
      `the value has ${formatSize(byteLength)}; ${owner} may hold ${formatSize(bytes)} in all`,
      { key, expected: bytes, found: byteLength },
    );
  }
}
