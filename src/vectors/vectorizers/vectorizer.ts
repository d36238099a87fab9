/** What turns texts into vectors: the contract that adapters and users' own models keep. */

import type { Tensor } from "../../tensor/tensor.ts";

/**
 * What a vectorizer may give for n texts:
 * - a tensor [n, dimension], or [n, chunks, dimension] where every text has as many chunks;
 * - n vectors: float arrays, or arrays of numbers;
 * - n tensors or nested arrays [chunks, dimension], where the number of chunks differs.
 *
 * Numbers are kept as float32. The memory belongs to the caller of `embed`, who may keep it.
 */
export type Vectors =
  | Tensor
  | readonly Tensor[]
  | readonly Float32Array[]
  | readonly Float64Array[]
  | readonly (readonly number[])[]
  | readonly (readonly (readonly number[])[])[];

/** What `embed` is told beside the texts. */
export interface EmbedOptions {
  /** Aborted when the result is no longer wanted; the call may then reject with anything. */
  readonly signal?: AbortSignal;
}

/** A model. Equal texts must get equal vectors as long as `model` is the same. */
export interface Vectorizer {
  /** Names the model in metadata; vectors are reused between caches of the same name, so parameters belong in it. */
  readonly model: string;
  /** Elements of a vector, where it is known before the first call. */
  readonly dimension?: number;
  /** The longest input in tokens; null or absent where there is no limit or none is known. */
  readonly contextSize?: number | null;
  /** The vectors of some texts, in their order. May be called again while earlier calls are under way. */
  embed(texts: readonly string[], options: EmbedOptions): Promise<Vectors>;
}
