/** Strings as UTF-8 files. */

import { QuiverError } from "../shared/errors.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, refuseCompression } from "./context.ts";
import { loneSurrogate } from "./values.ts";

const encoder = new TextEncoder();
// A leading byte-order mark belongs to the value: what was stored comes back.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Refuses strings with lone surrogates, which UTF-8 cannot hold. */
export const text: Codec<string> = {
  name: "text",
  extension: "txt",
  sharing: "shared",
  accepts: (value) => typeof value === "string",
  encode(value, options) {
    refuseCompression("text", options);
    if (typeof value !== "string") {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `text holds strings, not ${typeof value}`);
    }
    const at = loneSurrogate(value);
    if (at >= 0) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `the text has half a character at position ${at}`, {
        hint: "A lone surrogate has no UTF-8 form and would come back as another character.",
        fix: 'Use the codec "json", which can escape it, or value.toWellFormed().',
      });
    }
    const bytes = encoder.encode(value);
    return { parts: [bytes], byteLength: bytes.byteLength };
  },
  decode,
  whole: true,
  weight: (value) => value.length * 2,
};

function decode(bytes: Uint8Array, context: DecodeContext): string {
  return located(context, () => {
    context.verify?.(0, bytes.byteLength);
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", "the text is not UTF-8", { cause });
    }
  });
}
