/** The add-on's graph of a pickle as JavaScript values. Iterative, so that deep nesting costs no stack. */

import { QuiverError } from "../../shared/errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { PythonObject, rememberContainer, Tuple } from "./python.ts";

/** A tensor as the graph describes it. */
export interface TensorNode {
  /** Position of its storage. */
  readonly storage: number;
  readonly dtype: string;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly requiresGrad: boolean;
  readonly parameter: boolean;
  /** The stored numbers are conjugates, or negatives. */
  readonly conj: boolean;
  readonly neg: boolean;
}

/** The tags of the crate's module `pt::wire`. */
const TAG = {
  none: 0,
  false: 1,
  true: 2,
  int: 3,
  long: 4,
  float: 5,
  text: 6,
  bytes: 7,
  list: 8,
  tuple: 9,
  set: 10,
  dict: 11,
  orderedDict: 12,
  global: 13,
  call: 14,
  tensor: 15,
} as const;

const NO_ATTRIBUTES = 0xffff_ffff;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Something that is filled once every value exists: containers may contain each other. */
type Fill = (value: (id: number) => unknown, isFloat: (id: number) => boolean) => void;

/** The root's value; `tensorOf` makes its tensors. What is returned is frozen all the way down. */
export function decodeGraph(nodes: Uint8Array, tensorOf: (node: TensorNode) => Tensor): unknown {
  const reader = new NodeReader(nodes);
  const count = reader.u32();
  const values = new Array<unknown>(count);
  const tags = new Uint8Array(count);
  const containers: { readonly id: number; readonly ids: readonly number[]; readonly name?: string }[] = [];
  for (let id = 0; id < count; id++) {
    const tag = reader.u8();
    tags[id] = tag;
    switch (tag) {
      case TAG.list:
      case TAG.tuple:
      case TAG.set:
        containers.push({ id, ids: reader.ids(reader.u32()) });
        break;
      case TAG.dict:
        containers.push({ id, ids: reader.ids(2 * reader.u32()) });
        break;
      case TAG.orderedDict:
        containers.push({ id, ids: reader.ids(2 * reader.u32() + 1) });
        break;
      case TAG.call:
        containers.push({ id, name: reader.text(), ids: reader.ids(1) });
        break;
      case TAG.tensor:
        values[id] = tensorOf(reader.tensor());
        break;
      default:
        values[id] = leaf(tag, reader);
    }
  }
  const fills: Fill[] = [];
  for (const { id, ids, name } of containers) {
    const [value, fill] = container(tags[id] as number, ids, { tags, values, name: name ?? "" });
    values[id] = value;
    fills.push(fill);
  }
  for (const fill of fills) {
    fill(
      (id) => values[id],
      (id) => tags[id] === TAG.float && Number.isInteger(values[id]),
    );
  }
  return values[0];
}

function leaf(tag: number, reader: NodeReader): unknown {
  switch (tag) {
    case TAG.none:
      return null;
    case TAG.false:
      return false;
    case TAG.true:
      return true;
    case TAG.int:
      return reader.int();
    case TAG.long:
      return longOf(reader.bytes());
    case TAG.float:
      return reader.f64();
    case TAG.text:
      return reader.text();
    case TAG.bytes:
      return reader.bytes().slice();
    case TAG.global:
      return Object.freeze(new PythonObject(reader.text()));
    default:
      throw new QuiverError("ERR_QUIVER_INTERNAL", `the add-on's graph has a tag ${tag}`);
  }
}

/** An empty container, and how it is filled. */
function container(
  tag: number,
  ids: readonly number[],
  known: { readonly tags: Uint8Array; readonly values: readonly unknown[]; readonly name: string },
): [value: object, fill: Fill] {
  switch (tag) {
    case TAG.list: {
      const list: unknown[] = [];
      return [list, (value, isFloat) => fillList(list, list, ids, value, isFloat)];
    }
    case TAG.tuple: {
      const items: unknown[] = [];
      const tuple = Object.freeze(new Tuple(items));
      return [tuple, (value, isFloat) => fillList(items, tuple, ids, value, isFloat)];
    }
    case TAG.set: {
      const set = new Set<unknown>();
      const fill: Fill = (value) => {
        for (const id of ids) set.add(value(id));
        freezeCollection(set);
      };
      return [set, fill];
    }
    case TAG.call: {
      const call: { args?: Tuple } & object = Object.create(PythonObject.prototype, {
        name: { value: known.name, enumerable: true },
        args: { value: undefined, enumerable: true, writable: true },
      });
      return [
        call,
        (value) => {
          call.args = value(ids[0] as number) as Tuple;
          Object.freeze(call);
        },
      ];
    }
    default:
      return dict(tag === TAG.orderedDict, ids, known);
  }
}

function fillList(
  items: unknown[],
  container: object,
  ids: readonly number[],
  value: (id: number) => unknown,
  isFloat: (id: number) => boolean,
): void {
  const floats = new Set<unknown>();
  for (const id of ids) {
    if (isFloat(id)) floats.add(items.length);
    items.push(value(id));
  }
  rememberContainer(container, { ordered: false, attributes: undefined, floats });
  Object.freeze(items);
}

/** A plain object, or a Map where an object would lose a key's type or the order. */
function dict(
  ordered: boolean,
  ids: readonly number[],
  { tags, values }: { readonly tags: Uint8Array; readonly values: readonly unknown[] },
): [value: object, fill: Fill] {
  const pairs = ordered ? ids.length - 1 : ids.length;
  let keepsOrder = true;
  let lastIndex = -1;
  let named = false;
  for (let i = 0; i < pairs && keepsOrder; i += 2) {
    const id = ids[i] as number;
    if (tags[id] !== TAG.text) {
      keepsOrder = false;
      continue;
    }
    const index = arrayIndex(values[id] as string);
    if (index === undefined) named = true;
    else {
      // Objects list such keys first, by size.
      if (named || index <= lastIndex) keepsOrder = false;
      lastIndex = index;
    }
  }
  const map = new Map<unknown, unknown>();
  const object: Record<string, unknown> = {};
  const target = keepsOrder ? object : map;
  const fill: Fill = (value, isFloat) => {
    const floats = new Set<unknown>();
    for (let i = 0; i < pairs; i += 2) {
      const key = value(ids[i] as number);
      const id = ids[i + 1] as number;
      if (isFloat(id)) floats.add(key);
      else floats.delete(key);
      if (keepsOrder) define(object, key as string, value(id));
      else map.set(key, value(id));
    }
    const attributes = ordered ? (ids[pairs] as number) : NO_ATTRIBUTES;
    rememberContainer(target, {
      ordered,
      attributes: attributes === NO_ATTRIBUTES ? undefined : value(attributes),
      floats,
    });
    if (keepsOrder) Object.freeze(object);
    else freezeCollection(map);
  };
  return [target, fill];
}

/** Like an assignment, also for a key that an object's prototype has a setter for. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

/** The number that a key is the canonical text of, when objects order such keys before all others. */
function arrayIndex(key: string): number | undefined {
  if (!/^(0|[1-9]\d{0,9})$/.test(key)) return undefined;
  const index = Number(key);
  return index < NO_ATTRIBUTES ? index : undefined;
}

/** Maps and Sets can't be frozen; their methods that change them can be. */
function freezeCollection(collection: Map<unknown, unknown> | Set<unknown>): void {
  const refuse = (): never => {
    throw new TypeError("this value is shared and can't be changed; copy it first");
  };
  for (const method of ["set", "add", "delete", "clear"]) {
    if (method in collection) Object.defineProperty(collection, method, { value: refuse });
  }
  Object.freeze(collection);
}

/** Two's complement of any length, least byte first. */
function longOf(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).reverse().toString("hex");
  const unsigned = BigInt(`0x${hex || "0"}`);
  return BigInt.asIntN(bytes.byteLength * 8, unsigned);
}

class NodeReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    this.#at += 1;
    return this.#view.getUint8(this.#at - 1);
  }

  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  f64(): number {
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  int(): number | bigint {
    this.#at += 8;
    const value = this.#view.getBigInt64(this.#at - 8, true);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  bytes(length: number = this.u32()): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(length: number = this.u32()): string {
    return decoder.decode(this.bytes(length));
  }

  ids(count: number): number[] {
    return Array.from({ length: count }, () => this.u32());
  }

  tensor(): TensorNode {
    const storage = this.u32();
    const flags = this.u8();
    const dtype = this.text(this.u8());
    const offset = this.f64();
    const axes = this.u8();
    const counts = (): number[] => Array.from({ length: axes }, () => this.f64());
    return {
      storage,
      dtype,
      offset,
      shape: counts(),
      strides: counts(),
      requiresGrad: (flags & 1) !== 0,
      parameter: (flags & 2) !== 0,
      conj: (flags & 4) !== 0,
      neg: (flags & 8) !== 0,
    };
  }
}
