/** The add-on's arithmetic on embeddings. Texts are copied within the call, results are the caller's own. */

import { type Addon, addon } from "./addon.ts";
import { asQuiverError } from "./tensor.ts";

/** Vectors of hashed n-grams; throws ERR_QUIVER_BAD_VALUE for dimensions and n-grams that there can't be. */
export class Hasher {
  readonly #hasher: InstanceType<Addon["Hasher"]>;

  constructor(...args: ConstructorParameters<Addon["Hasher"]>) {
    try {
      this.#hasher = new addon.Hasher(...args);
    } catch (error) {
      throw asQuiverError(error);
    }
  }

  /** One vector a text, one after the other; computed on other threads. */
  async embed(texts: readonly string[]): Promise<Float32Array> {
    try {
      return await this.#hasher.embed(texts);
    } catch (error) {
      throw asQuiverError(error);
    }
  }
}
