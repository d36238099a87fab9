/** Tensors for exchange with other programs, and what is compared of them. */

import { type DType, dtypeFacts } from "../../src/tensor/dtype.ts";
import { bytesOf, Tensor } from "../../src/tensor/tensor.ts";

/** What one side says about an array: shape and the elements' bytes in C order. */
export interface Facts {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly hex: string;
}

export function factsOf(tensor: Tensor): Facts {
  return { dtype: tensor.dtype, shape: tensor.shape, hex: Buffer.from(bytesOf(tensor.data)).toString("hex") };
}

/** A tensor of that many bytes of a repeatable pattern; bools are 0 and 1. */
export function patterned(dtype: DType, shape: readonly number[], order: "C" | "F", seed = 1): Tensor {
  const { array, itemSize } = dtypeFacts(dtype);
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes = Uint8Array.from({ length: count * itemSize }, (_, i) => {
    const byte = Math.imul(i + seed, 2654435761) >>> 24;
    return dtype === "bool" ? byte & 1 : byte;
  });
  return new Tensor(new array(bytes.buffer), shape, { dtype, order });
}
