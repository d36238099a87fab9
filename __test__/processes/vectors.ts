/** Texts and vectors that the tests of interrupted creations agree on. */

import { fromFunction } from "../../src/vectors/vectorizers/function.ts";
import type { Vectorizer } from "../../src/vectors/vectorizers/vectorizer.ts";

const DIMENSION = 16;

export function textsOf(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `text ${i} ${"x".repeat(i % 40)}`);
}

/** A vector that depends on the text and the model. */
export function vectorOf(text: string, model: string): number[] {
  return Array.from({ length: DIMENSION }, (_, i) => text.charCodeAt(i % text.length) + model.length + i / 8);
}

export function slowVectorizer(model: string, wait: () => Promise<unknown>): Vectorizer {
  const embed = async (texts: readonly string[]): Promise<number[][]> => {
    await wait();
    return texts.map((text) => vectorOf(text, model));
  };
  return fromFunction(embed, { model, dimension: DIMENSION });
}
