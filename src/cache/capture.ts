/**
 * Values belong to the caller, who may change them as soon as a call has returned. What is stored is the value at
 * the time of the call, so everything that is read later is copied first.
 */

import type { Codec, EncodedValue } from "../codecs/codec.ts";
import { isPlainObject } from "../codecs/values.ts";
import { QuiverError } from "../shared/errors.ts";
import { columnMajorStrides } from "../tensor/layout.ts";
import { Tensor } from "../tensor/tensor.ts";

/**
 * The value with its tensors copied where `codec` reads them after `encode` has returned. npy writes them as they
 * lie, within the call; others may not. Tensors in mapped files are taken as they are.
 */
export function capture(value: unknown, codec: Codec): unknown {
  if (codec.name === "npy") return value;
  if (value instanceof Tensor) return copyOfTensor(value);
  if (!isPlainObject(value)) return value;
  const members = Object.entries(value);
  if (!members.some(([, member]) => member instanceof Tensor)) return value;
  return Object.fromEntries(
    members.map(([name, member]) => [name, member instanceof Tensor ? copyOfTensor(member) : member]),
  );
}

/** The same encoded value over memory of its own. */
export function copyOfEncoded(encoded: EncodedValue): EncodedValue {
  return { ...encoded, parts: encoded.parts.map((part) => new Uint8Array(part)) };
}

/**
 * Throws ERR_QUIVER_BAD_VALUE for memory that is no longer there, and for memory that can shrink while it is being read:
 * native threads must never see that.
 */
export function checkMemory(key: string, encoded: EncodedValue): void {
  for (const { buffer, byteLength } of encoded.parts) {
    if (byteLength === 0 && isDetached(buffer)) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", "the value lies in a buffer that was transferred away", {
        key,
        hint: "Nothing is left of such a buffer where it was.",
        fix: "Store the value before its buffer is transferred.",
      });
    }
    const { resizable, growable } = buffer as { resizable?: boolean; growable?: boolean };
    if (!resizable && !growable) continue;
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "the value lies in a resizable buffer", {
      key,
      hint: "Such a buffer can shrink while its bytes are being written.",
      fix: "Store a copy: value.slice().",
    });
  }
}

/** Buffers tell it themselves from Node 21 on. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    buffer.slice(0, 0);
    return false;
  } catch {
    return true;
  }
}

function copyOfTensor(tensor: Tensor): Tensor {
  if (tensor.isView) return tensor;
  const { dtype, shape, strides } = tensor;
  const columnMajor = !tensor.isContiguous && String(strides) === String(columnMajorStrides(shape));
  const values = columnMajor ? tensor.memory : tensor.data;
  return new Tensor(values.slice(), shape, { dtype, order: columnMajor ? "F" : "C" });
}
