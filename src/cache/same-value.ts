/** Whether two results are the same to whoever gets them. */

import { isDeepStrictEqual } from "node:util";
import { cacheKey } from "../hashing/cache-key.ts";

/** By the canonical form, which sees into tensors; what has none is compared property by property. */
export function isSameValue(left: unknown, right: unknown): boolean {
  try {
    return formOf(left) === formOf(right);
  } catch {
    return isDeepStrictEqual(left, right);
  }
}

/** The SHA-256 of all bytes, large arrays included. */
function formOf(value: unknown): string {
  return cacheKey("value", value, { hash: "sha256" });
}
