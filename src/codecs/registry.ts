/** Which codec goes with a name, a value or a file. */

import { QuiverError } from "../shared/errors.ts";
import { startsLikeNpy } from "./array.ts";
import { arrow, startsLikeArrow } from "./arrow.ts";
import { bin } from "./bin.ts";
import { clone, keeperOf } from "./clone.ts";
import type { Codec } from "./codec.ts";
import { json } from "./json.ts";
import { npy } from "./npy.ts";
import { npz, startsLikeZip } from "./npz.ts";
import { pt, startsLikePt } from "./pt.ts";
import { rememberedError } from "./remembered-error.ts";
import { safetensors, startsLikeSafetensors } from "./safetensors.ts";
import { text } from "./text.ts";
import { nameOf } from "./values.ts";

/** The codecs that come with the package, in the order in which they are asked for a value. */
export const codecs: readonly Codec[] = [npy, npz, safetensors, text, bin, json, pt, arrow].map(
  (codec) => codec as Codec,
);

/** Those that are only used where they are named. */
const named: readonly Codec[] = [clone, rememberedError as Codec];

/** The codec of that name, `own` ones first. Throws ERR_QUIVER_CODEC_UNKNOWN. */
export function codecFor(name: string, own: readonly Codec[] = []): Codec {
  const codec = [...own, ...codecs, ...named].find((candidate) => candidate.name === name);
  if (codec !== undefined) return codec;
  const known = [...own, ...codecs, ...named].map((candidate) => candidate.name);
  throw new QuiverError("ERR_QUIVER_CODEC_UNKNOWN", `there is no codec ${JSON.stringify(name)}`, {
    hint: `Known are ${known.join(", ")}.`,
  });
}

/**
 * The first codec that accepts the value: a tensor goes to npy, an object of tensors to npz (or safetensors, where NumPy lacks a dtype), a string to text,
 * bytes to bin, tensors that no other format holds to pt, anything else to json. Throws ERR_QUIVER_BAD_VALUE when none does.
 */
export function codecByValue(value: unknown, candidates: readonly Codec[] = codecs): Codec {
  const codec = candidates.find((candidate) => candidate.accepts(value));
  if (codec !== undefined) return codec;
  throw noCodec(value);
}

function noCodec(value: unknown): QuiverError {
  const typed = ArrayBuffer.isView(value);
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `no codec holds ${nameOf(value)}`, {
    ...(typed ? { fix: "Wrap it: new Tensor(array, shape)." } : {}),
  });
}

/**
 * The codec that gives a result back as it was: that of `codecByValue`, but "clone" where JSON would change something
 * without a word, and for what no other holds. Looks at all of the value. Throws ERR_QUIVER_BAD_VALUE.
 */
export function codecByResult(value: unknown, candidates: readonly Codec[] = codecs): Codec {
  const codec = candidates.find((candidate) => candidate.accepts(value));
  const exact = codec !== undefined && codec !== json && (codec !== bin || value instanceof Uint8Array);
  if (exact) return codec;
  const keeper = keeperOf(value);
  if (keeper !== "foreign") return keeper === "json" ? json : clone;
  const other = candidates.find((candidate) => candidate !== codec && candidate.accepts(value));
  if (other === undefined) throw noCodec(value);
  return other;
}

/** Other extensions that files of a codec are known by. */
const ALIASES: Readonly<Partial<Record<string, Codec>>> = { pth: pt };

/** The codec whose files have this extension (without dot, any case); undefined when none has. */
export function codecByExtension(
  extension: string,
  candidates: readonly Codec[] = codecs,
): Codec | undefined {
  const lower = extension.toLowerCase();
  return candidates.find((candidate) => candidate.extension === lower) ?? ALIASES[lower];
}

/** The codec of a file, by its extension, then by its first 128 bytes; bin when neither says. */
export function codecByFile(
  extension: string,
  firstBytes: Uint8Array,
  candidates: readonly Codec[] = codecs,
): Codec {
  const named = codecByExtension(extension, candidates);
  if (named !== undefined) return named;
  if (startsLikeNpy(firstBytes)) return npy as Codec;
  if (startsLikePt(firstBytes)) return pt;
  if (startsLikeZip(firstBytes)) return npz as Codec;
  if (startsLikeArrow(firstBytes)) return arrow as Codec;
  if (startsLikeSafetensors(firstBytes)) return safetensors as Codec;
  return bin as Codec;
}
