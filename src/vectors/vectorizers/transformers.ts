/** Feature-extraction pipelines of transformers.js as vectorizers, by their shape. */

import { QuiverError } from "../../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../../shared/options.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Vectorizer } from "./vectorizer.ts";

/** The part of a transformers.js `Tensor` that is used. */
export interface TransformersTensor {
  readonly dims: readonly number[];
  readonly data: unknown;
  dispose?(): void;
}

/** The part of a `FeatureExtractionPipeline` that is used. */
export interface TransformersPipeline {
  (texts: string[], options: { pooling: "mean" | "cls"; normalize: boolean }): Promise<TransformersTensor>;
  readonly model?: { readonly config?: object };
  readonly tokenizer?: object;
}

export interface TransformersOptions {
  /** Default: the name that the pipeline's configuration carries, with the options below. */
  readonly model?: string;
  /** How the vectors of a text's tokens become one. Default: "mean". */
  readonly pooling?: "mean" | "cls";
  /** Whether vectors get length 1. Default: true. */
  readonly normalize?: boolean;
}

const OPTIONS: OptionNames<TransformersOptions> = { model: true, pooling: true, normalize: true };

/**
 * A vectorizer over `await pipeline("feature-extraction", …)`. The model computes in this process and can't be
 * interrupted: an abort takes effect between batches.
 */
export function fromTransformers(
  pipeline: TransformersPipeline,
  options: TransformersOptions = {},
): Vectorizer {
  if (typeof pipeline !== "function") throw badOption("pipeline", pipeline, "a feature-extraction pipeline");
  checkOptions(options, OPTIONS);
  const { pooling = "mean", normalize = true } = options;
  const name = fieldOf(pipeline.model?.config, "_name_or_path");
  const model =
    options.model ?? (typeof name === "string" && name !== "" ? nameWith(name, pooling, normalize) : "");
  if (model === "") {
    throw badOption("model", options.model, "a name; the pipeline's configuration carries none");
  }
  const contextSize = fieldOf(pipeline.tokenizer, "model_max_length");
  return {
    model,
    // Tokenizers without a limit say so by a huge number.
    contextSize: Number.isSafeInteger(contextSize) ? (contextSize as number) : null,
    async embed(texts) {
      const output = await pipeline([...texts], { pooling, normalize });
      try {
        if (!(output.data instanceof Float32Array)) {
          throw new QuiverError(
            "ERR_QUIVER_BAD_VALUE",
            "the pipeline gave something else than a float32 tensor",
          );
        }
        // A copy: the pipeline's memory may be the runtime's own.
        return new Tensor(output.data.slice(), output.dims);
      } finally {
        output.dispose?.();
      }
    },
  };
}

/** The usual options need no word; others make other vectors. */
function nameWith(name: string, pooling: string, normalize: boolean): string {
  return `${name}${pooling === "mean" ? "" : `-${pooling}`}${normalize ? "" : "-unnormalized"}`;
}

function fieldOf(object: object | undefined, field: string): unknown {
  return (object as Readonly<Record<string, unknown>> | undefined)?.[field];
}
