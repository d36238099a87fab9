/** Bytes as they are: FFTW wisdom, compiled programs, anything another format does not fit. */

import { QuiverError } from "../shared/errors.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, refuseCompression } from "./context.ts";

/** Takes Uint8Array, Buffer, DataView and ArrayBuffer; returns the same bytes as a Uint8Array, which may be a view that must not be written to. */
export const bin: Codec<Uint8Array | DataView | ArrayBuffer> = {
  name: "bin",
  extension: "dat",
  sharing: "shared",
  accepts: (value) => bytesIn(value) !== undefined,
  encode(value, options) {
    refuseCompression("bin", options);
    const bytes = bytesIn(value);
    if (bytes === undefined) {
      throw new QuiverError(
        "ERR_QUIVER_BAD_VALUE",
        "bin holds bytes: a Uint8Array, Buffer, DataView or ArrayBuffer",
        {
          fix: "Wrap other typed arrays in a Tensor, which keeps their type.",
        },
      );
    }
    return { parts: [bytes], byteLength: bytes.byteLength };
  },
  decode,
  whole: true,
  weight: () => 0,
};

function decode(bytes: Uint8Array, context: DecodeContext): Uint8Array {
  return located(context, () => {
    context.verify?.(0, bytes.byteLength);
    return bytes;
  });
}

function bytesIn(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof DataView) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
