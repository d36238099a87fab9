/** Which codec goes with a name, a value or a file. */

import { QuiverError } from "../shared/errors.ts";
import { startsLikeNpy } from "./array.ts";
import { bin } from "./bin.ts";
import type { Codec } from "./codec.ts";
import { json } from "./json.ts";
import { npy } from "./npy.ts";
import { npz, startsLikeZip } from "./npz.ts";
import { safetensors, startsLikeSafetensors } from "./safetensors.ts";
import { text } from "./text.ts";
import { nameOf } from "./values.ts";

/** The codecs that come with the package, in the order in which they are asked for a value. */
export const codecs: readonly Codec[] = [npy, npz, safetensors, text, bin, json].map(
  (codec) => codec as Codec,
);

/** The codec of that name, `own` ones first. Throws ERR_QUIVER_CODEC_UNKNOWN. */
export function codecFor(name: string, own: readonly Codec[] = []): Codec {
  const codec = [...own, ...codecs].find((candidate) => candidate.name === name);
  if (codec !== undefined) return codec;
  const known = [...own, ...codecs].map((candidate) => candidate.name);
  throw new QuiverError("ERR_QUIVER_CODEC_UNKNOWN", `there is no codec ${JSON.stringify(name)}`, {
    hint: `known are ${known.join(", ")}`,
  });
}

/**
 * The first codec that accepts the value: a tensor goes to npy, an object of tensors to npz (or safetensors, where NumPy lacks a dtype), a string to text,
 * bytes to bin, anything else to json. Throws ERR_QUIVER_BAD_VALUE when none does.
 */
export function codecByValue(value: unknown, candidates: readonly Codec[] = codecs): Codec {
  const codec = candidates.find((candidate) => candidate.accepts(value));
  if (codec !== undefined) return codec;
  const typed = ArrayBuffer.isView(value);
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `no codec holds ${nameOf(value)}`, {
    ...(typed ? { fix: "wrap it: new Tensor(array, shape)" } : {}),
  });
}

/**
 * The codec of a file, by its extension (without dot, any case), then by its first bytes; bin when neither says.
 * Nine bytes are enough.
 */
export function codecByFile(
  extension: string,
  firstBytes: Uint8Array,
  candidates: readonly Codec[] = codecs,
): Codec {
  const lower = extension.toLowerCase();
  const named = candidates.find((candidate) => candidate.extension === lower);
  if (named !== undefined) return named;
  if (startsLikeNpy(firstBytes)) return npy as Codec;
  if (startsLikeZip(firstBytes)) return npz as Codec;
  if (startsLikeSafetensors(firstBytes)) return safetensors as Codec;
  return bin as Codec;
}
