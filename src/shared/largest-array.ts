/** How many bytes one array of bytes can be of, which is a matter of the version of Node. */

import { constants } from "node:buffer";
import { QuiverError } from "./errors.ts";

/** Bytes; 4 GiB with Node 20, though an `ArrayBuffer` may be longer there. */
export const LARGEST_ARRAY: number = constants.MAX_LENGTH;

/** Throws ERR_QUIVER_TOO_LARGE, with this `fix`, for more. `what` is the subject of "has 5 bytes". */
export function checkArrayLength(bytes: number, what: string, fix: string, path?: string): void {
  if (bytes > LARGEST_ARRAY) throw arrayTooLarge(`${what} has ${bytes} bytes`, fix, path);
}

/** The error for a value that no array of bytes holds. */
export function arrayTooLarge(message: string, fix: string, path?: string): QuiverError {
  return new QuiverError("ERR_QUIVER_TOO_LARGE", message, {
    hint: `An array of bytes of Node ${process.versions.node} has ${LARGEST_ARRAY} bytes at most.`,
    fix,
    ...(path !== undefined && { path }),
  });
}
