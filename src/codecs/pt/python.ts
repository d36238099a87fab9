/** What Python values have that JavaScript's have not: tuples, objects of classes, and facts remembered beside values. */

import type { Tensor } from "../../tensor/tensor.ts";

/** A Python tuple, which is no list: neither reads or writes as the other. */
export class Tuple<T = unknown> implements Iterable<T> {
  readonly items: readonly T[];

  constructor(items: readonly T[]) {
    this.items = items;
  }

  get length(): number {
    return this.items.length;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.items[Symbol.iterator]();
  }
}

/**
 * A constant, or an object of a harmless class, by its dotted name: `torch.float32`; `torch.device` of `["cpu"]`,
 * `torch.Size`, `builtins.complex`, `builtins.bytearray`, `collections.Counter`.
 */
export class PythonObject {
  readonly name: string;
  /** What the class is called with; undefined for a constant or the class itself. */
  readonly args: Tuple | undefined;

  constructor(name: string, args?: Tuple) {
    this.name = name;
    this.args = args;
  }
}

/** What was true of a container when it was read, for when it is written again. */
export interface ContainerFacts {
  /** An `OrderedDict`. */
  readonly ordered: boolean;
  /** Its attributes, such as `_metadata`. */
  readonly attributes: unknown;
  /** Keys or indices of floats that are whole numbers: JavaScript's 1 and 1.0 are the same. */
  readonly floats: ReadonlySet<unknown>;
}

/** What was true of a tensor when it was read. */
export interface TensorFacts {
  readonly parameter: boolean;
  readonly requiresGrad: boolean;
  /** Device it was saved from; it is read into memory all the same. */
  readonly location: string;
}

// Beside the values and not in them, so that they compare and print as what they are.
const containers = new WeakMap<object, ContainerFacts>();
const tensors = new WeakMap<Tensor, TensorFacts>();

export function rememberContainer(container: object, facts: ContainerFacts): void {
  if (facts.ordered || facts.floats.size > 0) containers.set(container, facts);
}

export function containerFacts(container: object): ContainerFacts | undefined {
  return containers.get(container);
}

export function rememberTensor(tensor: Tensor, facts: TensorFacts): void {
  tensors.set(tensor, facts);
}

/** What PyTorch knew of a tensor that was read from a pt file; undefined for others. */
export function torchFacts(tensor: Tensor): TensorFacts | undefined {
  return tensors.get(tensor);
}
