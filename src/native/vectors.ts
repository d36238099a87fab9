/** The add-on's work on embeddings. Arguments are copied within the call; results are the caller's own. */

import { addon } from "./addon.ts";
import { translated, translatedAsync } from "./store.ts";

/** Vectors of hashed n-grams; throws ERR_QUIVER_BAD_VALUE for dimensions and n-grams that there can't be. */
export class Hasher {
  readonly #hasher: InstanceType<typeof addon.Hasher>;

  constructor(...args: ConstructorParameters<typeof addon.Hasher>) {
    this.#hasher = translated(() => new addon.Hasher(...args));
  }

  /** One vector a text, one after the other; computed on other threads. */
  embed(texts: readonly string[]): Promise<Float32Array> {
    return translatedAsync(() => this.#hasher.embed(texts));
  }
}

/** Bytes of a text's digest. */
export const TEXT_DIGEST = 14;

/** The beginning of each text's SHA-256, one after the other. */
export function digestTexts(texts: readonly string[]): Promise<Uint8Array> {
  return translatedAsync(() => addon.digestTexts(texts));
}

/** Stands for no text among numbers of texts. */
export const NO_TEXT = 0xffffffff;

/** For each digest the number of the first one that equals it. */
export function firstTexts(digests: Uint8Array): Promise<Uint32Array> {
  return translatedAsync(() => addon.firstTexts(digests));
}

/** For each of the wanted digests the number of the first one among `present` that equals it, or NO_TEXT. */
export function foundTexts(wanted: Uint8Array, present: Uint8Array): Uint32Array {
  return addon.foundTexts(wanted, present);
}

/** Removes unfinished folders in `root` that nobody is writing and that are older than a day; how many. */
export function sweepUnfinished(root: string): Promise<number> {
  return translatedAsync(() => addon.sweepUnfinished(root));
}

/** Where the first number that is infinite or none lies; -1 where all are finite. */
export function firstNonFinite(values: Float32Array): number {
  return addon.firstNonFinite(values);
}
