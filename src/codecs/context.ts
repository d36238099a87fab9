/** What the codecs share: checking bytes before they are believed, naming what failed, refusing options. */

import { QuiverError } from "../shared/errors.ts";
import type { Codec, DecodeContext, EncodeOptions, PartedBytes } from "./codec.ts";

/** The context for bytes that are checked already and belong to nobody's file. */
export const PLAIN: DecodeContext = { mapped: false };

/** Bytes of a value: `bytes` is best not asked for where there are parts. */
interface StoredBytes {
  readonly bytes: Uint8Array;
  readonly parts?: PartedBytes;
}

/** Decodes a value, looking at no more of its bytes than the codec needs. */
export function decodeStored<T>(codec: Codec<T>, stored: StoredBytes, context: DecodeContext): T {
  return stored.parts !== undefined && codec.decodeParts !== undefined
    ? codec.decodeParts(stored.parts, context)
    : codec.decode(stored.bytes, context);
}

/** The same off the main thread where it can take long. */
export async function decodeStoredAsync<T>(
  codec: Codec<T>,
  stored: StoredBytes,
  context: DecodeContext,
): Promise<T> {
  return codec.decodeAsync === undefined
    ? decodeStored(codec, stored, context)
    : codec.decodeAsync(stored.bytes, context);
}

/** Runs `decode`; what fails there names the key and the path that the context knows. */
export function located<T>(context: DecodeContext, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw withLocation(error, context);
  }
}

/** The same for a promise. */
export async function locatedAsync<T>(context: DecodeContext, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    throw withLocation(error, context);
  }
}

function withLocation(error: unknown, { key, path }: DecodeContext): unknown {
  if (!(error instanceof QuiverError) || (key === undefined && path === undefined)) return error;
  if (error.key !== undefined || error.path !== undefined) return error;
  const { code, message, hint, fix } = error;
  return new QuiverError(code, message, { hint, fix, key, path, cause: error.cause ?? error });
}

/** Throws ERR_QUIVER_BAD_OPTION when a codec that only stores is asked to compress. */
export function refuseCompression(codec: string, { compression }: EncodeOptions): void {
  const kind = typeof compression === "object" ? compression.kind : compression;
  if (kind === undefined || kind === "none") return;
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${codec} cannot be compressed with ${kind}`, {
    hint: `Files of ${codec} hold the value as it is, so that they can be mapped and read by other programs.`,
    fix: 'Leave compression out, or use the codec "npz" for tensors.',
  });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new QuiverError("ERR_QUIVER_ABORTED", "encoding was aborted", { cause: signal.reason });
  }
}
