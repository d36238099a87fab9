/** Tensors over the storages of a file. */

import type { PtStorage } from "../../native/tensor.ts";
import { QuiverError } from "../../shared/errors.ts";
import { type DType, dtypeFacts } from "../../tensor/dtype.ts";
import type { Elements } from "../../tensor/elements.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { MemberBytes } from "../archive.ts";
import { PLAIN } from "../context.ts";
import { elementsIn, knownDType } from "../views.ts";
import type { TensorNode } from "./graph.ts";
import { rememberTensor } from "./python.ts";

/** Makes the tensors of a graph; those of one storage share its elements. */
export function tensorReader(
  storages: readonly PtStorage[],
  blocks: readonly MemberBytes[],
  bigEndian: boolean,
): (node: TensorNode) => Tensor {
  const known = new Map<string, Elements>();
  return (node) => {
    const { storage, offset, shape, strides, parameter, requiresGrad, conj, neg } = node;
    const dtype = knownDType(node.dtype);
    const block = blocks[storage];
    const location = storages[storage]?.location ?? "cpu";
    if (block === undefined) throw new QuiverError("ERR_QUIVER_INTERNAL", "a tensor lies in no storage");
    const read = (changed: boolean): Elements => {
      const count = Math.floor(block.bytes.byteLength / dtypeFacts(dtype).itemSize);
      const { bytes, start, context } = block;
      if (changed) context.verify?.(start, start + bytes.byteLength);
      return elementsIn(bytes, { dtype, count, at: 0, start, bigEndian }, changed ? PLAIN : context);
    };
    const name = `${storage} ${dtype}`;
    const elements = conj || neg ? read(true) : (known.get(name) ?? read(false));
    if (!conj && !neg) known.set(name, elements);
    const stored = new Tensor(elements, shape, { dtype, strides, offset });
    const tensor = conj || neg ? negated(stored, { conj, neg }) : stored;
    if (parameter || requiresGrad || location !== "cpu") {
      rememberTensor(tensor, { parameter, requiresGrad, location });
    }
    return tensor;
  };
}

/** A copy of a tensor whose stored numbers are negatives, conjugates or both. */
function negated(tensor: Tensor, { conj, neg }: { readonly conj: boolean; readonly neg: boolean }): Tensor {
  const values = tensor.data.slice();
  const { components } = dtypeFacts(tensor.dtype);
  if (!(values instanceof Float32Array || values instanceof Float64Array) || (conj && components === 1)) {
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `${described(tensor.dtype, conj)} are not read`, {
      fix: "Save tensor.resolve_conj().resolve_neg().",
    });
  }
  for (let i = 0; i < values.length; i++) {
    const imaginary = components === 2 && i % 2 === 1;
    if (neg !== (conj && imaginary)) values[i] = -(values[i] as number);
  }
  return new Tensor(values, tensor.shape, { dtype: tensor.dtype });
}

function described(dtype: DType, conj: boolean): string {
  return `${conj ? "conjugated" : "negated"} tensors of ${dtype}`;
}
