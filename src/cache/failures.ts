/** What happens when the cache itself fails: whose business it is, and how it is told when nobody is to be troubled. */

import { isQuiverError, QuiverError, type QuiverErrorCode } from "../shared/errors.ts";
import type { CacheContext } from "./context.ts";

/** Mistakes of the calling program, or its wish; no cache in whatever state could do what it asks. */
const OF_THE_CALLER: ReadonlySet<QuiverErrorCode> = new Set<QuiverErrorCode>([
  "ERR_QUIVER_BAD_OPTION",
  "ERR_QUIVER_BAD_KEY",
  "ERR_QUIVER_BAD_VALUE",
  "ERR_QUIVER_BAD_NAMESPACE",
  "ERR_QUIVER_OUT_OF_RANGE",
  "ERR_QUIVER_UNSUPPORTED",
  "ERR_QUIVER_CLOSED",
  "ERR_QUIVER_ABORTED",
  "ERR_QUIVER_SETTINGS_DIFFER",
]);

/** Whether an error is the caller's own. */
export function isOfTheCaller(error: unknown): boolean {
  return isQuiverError(error) && OF_THE_CALLER.has(error.code);
}

/** Counts an error that counts as a miss, tells listeners, and warns once a minute a cause. */
export function swallow(
  context: CacheContext,
  namespace: string,
  key: string | undefined,
  error: unknown,
): void {
  if (context.events.has("error")) context.events.emit("error", { namespace, key, error });
  const reason = error instanceof Error ? error.message : String(error);
  const cause = isQuiverError(error) ? error.code : "error";
  context.tally.countError(namespace, cause);
  const subject = key === undefined ? `"${namespace}"` : `"${key}" in "${namespace}"`;
  context.logger.warn(`${subject} counts as a miss: ${reason}`, `miss:${cause}`);
}

/** The error of an operation whose signal was aborted. */
export function aborted(signal: AbortSignal, what: string): QuiverError {
  return new QuiverError("ERR_QUIVER_ABORTED", `${what} was aborted`, { cause: signal.reason });
}
