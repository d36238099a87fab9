/** What a tensor's values are like, for people. */

import { type Summary, summarise } from "../native/tensor.ts";
import { bytesOf, type Tensor } from "./tensor.ts";

/**
 * Extremes and mean of all elements, NaN left out; undefined for complex numbers, which have no order. Reads
 * everything, at some GB/s on the main thread; large mapped tensors need `ready()` first.
 */
export function summaryOf(tensor: Tensor): Summary | undefined {
  if (tensor.dtype === "complex64" || tensor.dtype === "complex128") return undefined;
  return summarise(bytesOf(tensor.data), tensor.dtype);
}
