/** LangChain's embeddings as vectorizers, by their shape. */

import { badOption, checkOptions } from "../../shared/options.ts";
import type { Vectorizer } from "./vectorizer.ts";

/** The part of LangChain's `EmbeddingsInterface` that is used. */
export interface LangChainEmbeddings {
  embedDocuments(texts: string[]): Promise<number[][]>;
}

/**
 * A vectorizer over an `Embeddings` of LangChain. `model` defaults to what the embeddings call their model, else to the
 * name of their class. They take no signal: an aborted call is waited for by nobody, and its result is dropped.
 */
export function fromLangChain(
  embeddings: LangChainEmbeddings,
  options: { readonly model?: string } = {},
): Vectorizer {
  checkOptions(options, { model: true });
  const { model = modelOf(embeddings) } = options;
  if (typeof embeddings?.embedDocuments !== "function") {
    throw badOption("embeddings", embeddings, "an object with embedDocuments");
  }
  return { model, embed: (texts) => embeddings.embedDocuments([...texts]) };
}

function modelOf(embeddings: LangChainEmbeddings): string {
  const { model, modelName } = (embeddings ?? {}) as { model?: unknown; modelName?: unknown };
  const named = [model, modelName].find((name) => typeof name === "string" && name !== "");
  return typeof named === "string" ? named : (embeddings?.constructor?.name ?? "");
}
