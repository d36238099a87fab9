/** A function as a vectorizer. */

import { badOption, checkOptions, type OptionNames } from "../../shared/options.ts";
import type { EmbedOptions, Vectorizer, Vectors } from "./vectorizer.ts";

export interface FunctionVectorizerOptions {
  /** Names what the function computes; change it when the function changes. */
  readonly model: string;
  readonly dimension?: number;
  readonly contextSize?: number | null;
}

const OPTIONS: OptionNames<FunctionVectorizerOptions> = { model: true, dimension: true, contextSize: true };

/** The vectorizer that calls `embed` with some texts at a time. Throws ERR_QUIVER_BAD_OPTION without a model name. */
export function fromFunction(
  embed: (texts: readonly string[], options: EmbedOptions) => Vectors | Promise<Vectors>,
  options: FunctionVectorizerOptions,
): Vectorizer {
  checkOptions(options, OPTIONS);
  const { model, dimension, contextSize } = options;
  if (typeof embed !== "function") throw badOption("embed", embed, "a function of texts");
  if (typeof model !== "string" || model === "") throw badOption("model", model, "a name");
  return {
    model,
    ...(dimension === undefined ? {} : { dimension }),
    ...(contextSize === undefined ? {} : { contextSize }),
    embed: async (texts, options) => embed(texts, options),
  };
}
