/** One tensor as an npy file: `numpy.load`, also with `mmap_mode="r"`. */

import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { decodeArray, decodeArrayParts, encodeArray, isNumPyType } from "./array.ts";
import type { Codec, EncodedValue } from "./codec.ts";
import { located, refuseCompression, throwIfAborted } from "./context.ts";
import { nameOf } from "./values.ts";
import { weightOf } from "./views.ts";

/** Holds every dtype but bfloat16 and 8-bit floats. The data starts at a multiple of 64 bytes and is written without being copied. */
export const npy: Codec<Tensor> = {
  name: "npy",
  extension: "npy",
  sharing: "shared",
  mappable: true,
  accepts: (value) => value instanceof Tensor && isNumPyType(value.dtype),
  encode(tensor, options) {
    refuseCompression("npy", options);
    throwIfAborted(options.signal);
    if (!(tensor instanceof Tensor)) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `npy holds a tensor, not ${nameOf(tensor)}`, {
        fix: 'Wrap it: new Tensor(array, shape); several tensors go into "npz".',
      });
    }
    return tensor.isView ? tensor.ready().then(encodeReady) : encodeReady(tensor);
  },
  decode: (bytes, context) => located(context, () => decodeArray(bytes, 0, context)),
  decodeParts: (bytes, context) => located(context, () => decodeArrayParts(bytes, context)),
  weight: weightOf,
};

function encodeReady(tensor: Tensor): EncodedValue {
  const parts = encodeArray(tensor);
  const byteLength = parts[0].byteLength + parts[1].byteLength;
  return { parts, byteLength, shape: tensor.shape, dtype: tensor.dtype };
}
