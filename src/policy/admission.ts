/** Which values are let in at all. */

import { QuiverError } from "../shared/errors.ts";
import { formatSize } from "../shared/units.ts";

/**
 * Throws ERR_QUIVER_TOO_LARGE when a value alone exceeds the limit in bytes of the namespace or cache that `owner`
 * names in the message: evicting everything else would not make it fit.
 */
export function checkAdmission(key: string, byteLength: number, owner: string, limit: number): void {
  if (byteLength <= limit) return;
  throw new QuiverError(
    "ERR_QUIVER_TOO_LARGE",
    `the value has ${formatSize(byteLength)}; ${owner} may hold ${formatSize(limit)} in all`,
    { key, expected: limit, found: byteLength },
  );
}
