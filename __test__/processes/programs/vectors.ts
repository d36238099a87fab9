/** Creates a vector cache, and says how far it was when it began and when it was done. */

import { setTimeout as pause } from "node:timers/promises";
import { VectorCache } from "../../../src/index.ts";
import { slowVectorizer, textsOf } from "../vectors.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface VectorsInput {
  readonly root: string;
  readonly name: string;
  readonly texts: number;
  /** Names the model: another one makes another cache. */
  readonly model: string;
}

const { root, name, texts, model } = inputOf<VectorsInput>();
let began = false;
await VectorCache.create({
  name,
  root,
  texts: textsOf(texts),
  vectorizer: slowVectorizer(model, () => pause(2)),
  batchSize: 10,
  maxShardSize: 6_000,
  reuse: false,
  onProgress({ done }) {
    if (!began) tell({ kind: "began", done });
    began = true;
  },
});
tell({ kind: "done" });
leave();
