/** Creates a vector cache of many texts, and says how much memory that took beside the texts. */

import { VectorCache } from "../../../src/index.ts";
import { fromFunction } from "../../../src/vectors/vectorizers/function.ts";
import { collected, memory } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface GrowInput {
  readonly root: string;
  readonly name: string;
  readonly texts: number;
  readonly dimension: number;
}

const { root, name, texts: count, dimension } = inputOf<GrowInput>();
const embed = (batch: readonly string[]): Float32Array[] =>
  batch.map((text) => new Float32Array(dimension).fill(text.length));
const vectorizer = fromFunction(embed, { model: "lengths", dimension });

// What is compiled and set up with the first use belongs to no number of texts.
await VectorCache.create({ name: "warm", root, texts: ["a", "b"], vectorizer });
const texts = Array.from({ length: count }, (_, i) => `text ${i % 1000 === 0 ? "again" : i}`);
await collected();
const before = memory().anonymous;
let most = before;
let [measured, next] = [Promise.resolve(), 0];
await VectorCache.create({
  name,
  root,
  texts,
  vectorizer: {
    ...vectorizer,
    async embed(batch, options) {
      await measured;
      return vectorizer.embed(batch, options);
    },
  },
  batchSize: 256,
  onProgress({ done, total }) {
    if (done < next) return;
    next = done + total / 10;
    measured = collected().then(() => {
      most = Math.max(most, memory().anonymous);
    });
  },
});
tell({ kind: "report", growth: most - before });
leave();
