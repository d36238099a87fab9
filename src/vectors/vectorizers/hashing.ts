/** A vectorizer that needs no model: words and parts of words, hashed. */

import { Hasher } from "../../native/vectors.ts";
import { checkOptions, type OptionNames } from "../../shared/options.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Vectorizer } from "./vectorizer.ts";

/** The shortest and the longest n-gram. */
export type GramRange = readonly [shortest: number, longest: number];

/** Options of `hashingVectorizer`. All of them are part of the model's name. */
export interface HashingOptions {
  /** Elements of a vector, 1 to 1,048,576. Default: 384. */
  readonly dimension?: number;
  /** N-grams of words. Default: [1, 2]; null for none. */
  readonly words?: GramRange | null;
  /** N-grams of characters within words, their ends marked. Default: [3, 4]; null for none. */
  readonly characters?: GramRange | null;
}

const OPTIONS: OptionNames<HashingOptions> = { dimension: true, words: true, characters: true };

/**
 * Vectors of hashed n-grams: lexical, not semantic. Texts are near when they share words and parts of words, in any
 * case and with any punctuation; synonyms are not. It needs no model and no network, gives the same bits on every
 * platform, and embeds tens of megabytes of text a second on all processors, off the event loop.
 *
 * Each n-gram is added, with a sign, to one of the elements (feature hashing, Weinberger et al. 2009), weighed by the
 * square root of its count; vectors have length 1, those of texts without a letter or digit are zeros.
 * Throws ERR_QUIVER_BAD_VALUE for dimensions and n-grams that there can't be.
 */
export function hashingVectorizer(options: HashingOptions = {}): Vectorizer {
  checkOptions(options, OPTIONS);
  const { dimension = 384, words = [1, 2], characters = [3, 4] } = options;
  const hasher = new Hasher(dimension, words && [...words], characters && [...characters]);
  const grams = (kind: string, range: GramRange | null): string =>
    range ? `-${kind}${range.join("-")}` : "";
  return {
    model: `quiver/hashing-${dimension}${grams("w", words)}${grams("c", characters)}`,
    dimension,
    contextSize: null,
    embed: async (texts) => new Tensor(await hasher.embed(texts), [texts.length, dimension]),
  };
}

const MODEL = /^quiver\/hashing-(\d+)(?:-w(\d+)-(\d+))?(?:-c(\d+)-(\d+))?$/;

/** The vectorizer of hashed n-grams that is called so; undefined for other models. */
export function vectorizerOfModel(model: string): Vectorizer | undefined {
  const match = MODEL.exec(model);
  if (match === null) return undefined;
  const range = (at: number): GramRange | null =>
    match[at] === undefined ? null : [Number(match[at]), Number(match[at + 1])];
  return hashingVectorizer({ dimension: Number(match[1]), words: range(2), characters: range(4) });
}
