/** The AI SDK's embedding models as vectorizers, by their shape. */

import { mapBounded } from "../../cache/bounded.ts";
import { badOption, checkOptions } from "../../shared/options.ts";
import type { Vectorizer } from "./vectorizer.ts";

/** The part of `EmbeddingModelV2`, `V3` and `V4` of @ai-sdk/provider that is used. */
export interface AiSdkEmbeddingModel {
  readonly provider: string;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: number | undefined | PromiseLike<number | undefined>;
  readonly supportsParallelCalls: boolean | PromiseLike<boolean>;
  doEmbed(options: {
    values: string[];
    abortSignal?: AbortSignal;
  }): PromiseLike<{ readonly embeddings: readonly (readonly number[])[] }>;
}

/** Calls of one `embed` at a time, where the model takes several. */
const PARALLEL_CALLS = 4;

/**
 * A vectorizer over an embedding model of the AI SDK, as providers give them (`provider.embeddingModel("…")`). More
 * texts than the model takes at once are divided among calls.
 */
export function fromAiSdk(
  embeddingModel: AiSdkEmbeddingModel,
  options: { readonly model?: string } = {},
): Vectorizer {
  checkOptions(options, { model: true });
  if (typeof embeddingModel?.doEmbed !== "function") {
    throw badOption("model", embeddingModel, "an embedding model: an object with doEmbed");
  }
  return {
    model: options.model ?? `${embeddingModel.provider}/${embeddingModel.modelId}`,
    async embed(texts, { signal }) {
      const most = (await embeddingModel.maxEmbeddingsPerCall) ?? Number.POSITIVE_INFINITY;
      const parallel = await embeddingModel.supportsParallelCalls;
      const parts = await mapBounded(partsOf(texts, most), parallel ? PARALLEL_CALLS : 1, async (values) => {
        signal?.throwIfAborted();
        const { embeddings } = await embeddingModel.doEmbed({
          values: [...values],
          ...(signal === undefined ? {} : { abortSignal: signal }),
        });
        return embeddings;
      });
      return parts.flat();
    },
  };
}

function* partsOf(texts: readonly string[], most: number): Generator<readonly string[]> {
  for (let start = 0; start < texts.length; start += most) yield texts.slice(start, start + most);
}
