/** Which storages a set of tensors is written to. */

import { dtypeFacts } from "../../tensor/dtype.ts";
import { rowMajorStrides } from "../../tensor/layout.ts";
import { bytesOf, type Tensor } from "../../tensor/tensor.ts";

/** Where a tensor lies, in elements of its storage. */
export interface StoredTensor {
  readonly storage: number;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Storages in order, and each tensor's place in them. */
export interface StorageLayout {
  readonly storages: readonly Uint8Array[];
  readonly placed: ReadonlyMap<Tensor, StoredTensor>;
}

/** A tensor's own range of memory. */
interface Extent {
  readonly tensor: Tensor;
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
}

/**
 * Tensors whose bytes overlap share a storage, so that they share one again when PyTorch reads them. All others get
 * one of their own, no longer than they need: a slice of a large tensor brings nothing else of it along, and one
 * with gaps is compacted. Mapped tensors must be ready.
 */
export function layOut(tensors: Iterable<Tensor>): StorageLayout {
  const storages: Uint8Array[] = [];
  const placed = new Map<Tensor, StoredTensor>();
  for (const group of overlapping([...tensors].map(extentOf))) {
    const [first] = group as [Extent];
    const { itemSize } = dtypeFacts(first.tensor.dtype);
    const storage = storages.length;
    if (group.length === 1 && first.end - first.start > first.tensor.byteLength) {
      storages.push(bytesOf(first.tensor.data));
      placed.set(first.tensor, { storage, offset: 0, strides: rowMajorStrides(first.tensor.shape) });
      continue;
    }
    const end = group.reduce((latest, extent) => Math.max(latest, extent.end), first.start);
    storages.push(new Uint8Array(first.buffer, first.start, end - first.start));
    for (const { tensor, start } of group) {
      placed.set(tensor, { storage, offset: (start - first.start) / itemSize, strides: tensor.strides });
    }
  }
  return { storages, placed };
}

function extentOf(tensor: Tensor): Extent {
  const { buffer, byteOffset, byteLength } = tensor.memory;
  return { tensor, buffer, start: byteOffset, end: byteOffset + byteLength };
}

/** Groups in the order of their first tensor, each ordered by address. */
function overlapping(extents: readonly Extent[]): Extent[][] {
  const inMemory = new Map<ArrayBufferLike, Extent[]>();
  for (const extent of extents) {
    const neighbours = inMemory.get(extent.buffer);
    if (neighbours === undefined) inMemory.set(extent.buffer, [extent]);
    else neighbours.push(extent);
  }
  const groupOf = new Map<Tensor, Extent[]>();
  for (const neighbours of inMemory.values()) {
    // Groups that may still reach over the next tensor.
    let open: { readonly group: Extent[]; end: number }[] = [];
    for (const extent of neighbours.sort((a, b) => a.start - b.start || b.end - a.end)) {
      open = open.filter(({ end }) => extent.start < end);
      let joined = open.find(({ group }) => sameElements(group, extent));
      if (joined === undefined) {
        joined = { group: [], end: extent.end };
        open.push(joined);
      }
      joined.group.push(extent);
      joined.end = Math.max(joined.end, extent.end);
      groupOf.set(extent.tensor, joined.group);
    }
  }
  return [...new Set(extents.map(({ tensor }) => groupOf.get(tensor) as Extent[]))];
}

/** A storage has one type of elements, and tensors start at whole ones. */
function sameElements([first]: readonly Extent[], extent: Extent): boolean {
  const { dtype } = (first as Extent).tensor;
  if (dtype !== extent.tensor.dtype) return false;
  return (extent.start - (first as Extent).start) % dtypeFacts(dtype).itemSize === 0;
}
