/**
 * Writes pickles as `torch.save` does: protocol 2, with nothing in them that `torch.load(weights_only=True)` refuses.
 */

import { QuiverError } from "../../shared/errors.ts";
import { type DType, dtypeFacts } from "../../tensor/dtype.ts";
import { Tensor } from "../../tensor/tensor.ts";
import { isPlainObject, loneSurrogate, nameOf } from "../values.ts";
import { containerFacts, PythonObject, Tuple, torchFacts } from "./python.ts";
import type { StorageLayout, StoredTensor } from "./storages.ts";

/** Python's own pickler gives up at about this depth. */
const DEEPEST = 900;

/** The opcodes that are written. */
const OP = {
  PROTO: 0x80,
  STOP: 0x2e,
  NONE: 0x4e,
  TRUE: 0x88,
  FALSE: 0x89,
  BININT1: 0x4b,
  BININT: 0x4a,
  LONG1: 0x8a,
  BINFLOAT: 0x47,
  BINUNICODE: 0x58,
  GLOBAL: 0x63,
  REDUCE: 0x52,
  BUILD: 0x62,
  BINPERSID: 0x51,
  MARK: 0x28,
  TUPLE: 0x74,
  EMPTY_TUPLE: 0x29,
  EMPTY_LIST: 0x5d,
  EMPTY_DICT: 0x7d,
  APPENDS: 0x65,
  SETITEMS: 0x75,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
} as const;

/** Types that PyTorch has a storage class for; tensors of others lie in untyped storages. */
const STORAGE_CLASSES: Readonly<Partial<Record<DType, string>>> = {
  bool: "BoolStorage",
  uint8: "ByteStorage",
  int8: "CharStorage",
  int16: "ShortStorage",
  int32: "IntStorage",
  int64: "LongStorage",
  float16: "HalfStorage",
  bfloat16: "BFloat16Storage",
  float32: "FloatStorage",
  float64: "DoubleStorage",
  complex64: "ComplexFloatStorage",
  complex128: "ComplexDoubleStorage",
};

/** Python 2's name of the module, which protocol 2 uses. */
const BUILTINS = "__builtin__";

const encoder = new TextEncoder();

/** The pickle of a value whose tensors lie where `layout` says. Throws ERR_QUIVER_BAD_VALUE for what Python could not have. */
export function pickle(value: unknown, layout: StorageLayout): Uint8Array {
  return new Pickler(layout).pickle(value);
}

class Pickler {
  readonly #layout: StorageLayout;
  readonly #out = new ByteSink();
  /** Numbers of texts by their content, of objects by themselves. */
  readonly #memo = new Map<unknown, number>();
  readonly #names = new Map<string, object>();
  readonly #open = new Set<object>();

  constructor(layout: StorageLayout) {
    this.#layout = layout;
  }

  pickle(value: unknown): Uint8Array {
    this.#out.u8(OP.PROTO, 2);
    this.#save(value, false);
    this.#out.u8(OP.STOP);
    return this.#out.bytes();
  }

  /** `float`: a whole number is a float all the same. */
  #save(value: unknown, float: boolean): void {
    if (value === null) this.#out.u8(OP.NONE);
    else if (typeof value === "boolean") this.#out.u8(value ? OP.TRUE : OP.FALSE);
    else if (typeof value === "number") this.#number(value, float);
    else if (typeof value === "bigint") this.#integer(value);
    else if (typeof value === "string") this.#text(value);
    else if (typeof value === "object") this.#object(value);
    else throw refusal(nameOf(value));
  }

  #number(value: number, float: boolean): void {
    if (Number.isSafeInteger(value) && !float && !Object.is(value, -0)) {
      this.#integer(BigInt(value));
    } else {
      this.#out.u8(OP.BINFLOAT);
      this.#out.f64(value);
    }
  }

  #integer(value: bigint): void {
    if (value >= 0n && value < 256n) {
      this.#out.u8(OP.BININT1, Number(value));
    } else if (BigInt.asIntN(32, value) === value) {
      this.#out.u8(OP.BININT);
      this.#out.i32(Number(value));
    } else {
      const bytes = twosComplement(value);
      if (bytes.byteLength > 255) throw refusal("an integer of more than 255 bytes");
      this.#out.u8(OP.LONG1, bytes.byteLength);
      this.#out.append(bytes);
    }
  }

  #text(value: string): void {
    if (this.#recall(value)) return;
    if (loneSurrogate(value) >= 0) throw refusal("a text that is not well-formed");
    const bytes = encoder.encode(value);
    this.#out.u8(OP.BINUNICODE);
    this.#out.u32(bytes.byteLength);
    this.#out.append(bytes);
    this.#remember(value);
  }

  #object(value: object): void {
    if (this.#recall(value)) return;
    if (this.#open.size >= DEEPEST) throw refusal(`more than ${DEEPEST} levels`);
    if (this.#open.has(value)) throw refusal("a tuple or set that contains itself");
    this.#open.add(value);
    if (value instanceof Tensor) this.#tensor(value);
    else if (value instanceof Uint8Array) this.#bytes(value);
    else if (Array.isArray(value)) this.#list(value);
    else if (value instanceof Tuple) this.#tuple(value);
    else if (value instanceof Set) this.#set(value);
    else if (value instanceof Map) this.#dict(value, [...value]);
    else if (value instanceof PythonObject) this.#pythonObject(value);
    else if (isPlainObject(value)) this.#dict(value, Object.entries(value));
    else throw refusal(nameOf(value));
    this.#open.delete(value);
  }

  #list(value: readonly unknown[]): void {
    this.#out.u8(OP.EMPTY_LIST);
    this.#remember(value);
    if (value.length === 0) return;
    this.#out.u8(OP.MARK);
    this.#items(value, value);
    this.#out.u8(OP.APPENDS);
  }

  #tuple(value: Tuple): void {
    // The empty tuple has one byte, no more than a reference to it.
    if (value.length === 0) {
      this.#out.u8(OP.EMPTY_TUPLE);
      return;
    }
    this.#out.u8(OP.MARK);
    this.#items(value.items, value);
    this.#out.u8(OP.TUPLE);
    this.#remember(value);
  }

  #items(items: readonly unknown[], container: object): void {
    const floats = containerFacts(container)?.floats;
    for (let i = 0; i < items.length; i++) this.#save(items[i], floats?.has(i) ?? false);
  }

  #set(value: ReadonlySet<unknown>): void {
    this.#name(BUILTINS, "set");
    this.#out.u8(OP.MARK, OP.EMPTY_LIST, OP.MARK);
    for (const item of value) this.#save(item, false);
    this.#out.u8(OP.APPENDS, OP.TUPLE, OP.REDUCE);
    this.#remember(value);
  }

  #dict(value: object, pairs: readonly (readonly [unknown, unknown])[]): void {
    const facts = containerFacts(value);
    if (facts?.ordered) {
      this.#name("collections", "OrderedDict");
      this.#out.u8(OP.EMPTY_TUPLE, OP.REDUCE);
    } else this.#out.u8(OP.EMPTY_DICT);
    this.#remember(value);
    if (pairs.length > 0) {
      this.#out.u8(OP.MARK);
      for (const [key, item] of pairs) {
        this.#save(key, false);
        this.#save(item, facts?.floats.has(key) ?? false);
      }
      this.#out.u8(OP.SETITEMS);
    }
    if (facts?.attributes === undefined) return;
    this.#save(facts.attributes, false);
    this.#out.u8(OP.BUILD);
  }

  #bytes(value: Uint8Array): void {
    this.#name("_codecs", "encode");
    this.#out.u8(OP.MARK);
    this.#text(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1"));
    this.#text("latin1");
    this.#out.u8(OP.TUPLE, OP.REDUCE);
    this.#remember(value);
  }

  #pythonObject({ name, args }: PythonObject): void {
    const dot = name.lastIndexOf(".");
    const module = name.slice(0, dot);
    if (dot < 0 || /[\n\s]/.test(name)) throw refusal(`an object of ${JSON.stringify(name)}`);
    this.#name(module === "builtins" ? BUILTINS : module, name.slice(dot + 1));
    if (args === undefined) return;
    this.#save(args, false);
    this.#out.u8(OP.REDUCE);
  }

  /** A tensor as the call that makes it; a parameter as the call that makes it of its tensor. */
  #tensor(tensor: Tensor): void {
    const facts = torchFacts(tensor);
    const place = this.#layout.placed.get(tensor);
    if (place === undefined) {
      throw new QuiverError("ERR_QUIVER_INTERNAL", "a tensor was not laid out before it was written");
    }
    const requiresGrad = facts?.requiresGrad ?? false;
    if (facts?.parameter) {
      this.#name("torch._utils", "_rebuild_parameter");
      this.#out.u8(OP.MARK);
      this.#plainTensor(tensor, place, false);
      this.#save(requiresGrad, false);
      this.#noHooks();
      this.#out.u8(OP.TUPLE, OP.REDUCE);
    } else this.#plainTensor(tensor, place, requiresGrad);
    this.#remember(tensor);
  }

  #plainTensor({ dtype, shape }: Tensor, place: StoredTensor, requiresGrad: boolean): void {
    const storageClass = STORAGE_CLASSES[dtype];
    this.#name("torch._utils", storageClass === undefined ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    this.#out.u8(OP.MARK);
    this.#storage(place.storage, dtype, storageClass);
    this.#save(place.offset, false);
    this.#save(new Tuple(shape), false);
    this.#save(new Tuple(place.strides), false);
    this.#save(requiresGrad, false);
    this.#noHooks();
    if (storageClass === undefined) this.#name("torch", dtype);
    this.#out.u8(OP.TUPLE, OP.REDUCE);
  }

  #storage(index: number, dtype: DType, storageClass: string | undefined): void {
    const { byteLength } = this.#layout.storages[index] as Uint8Array;
    this.#out.u8(OP.MARK);
    this.#text("storage");
    if (storageClass === undefined) this.#name("torch.storage", "UntypedStorage");
    else this.#name("torch", storageClass);
    this.#text(String(index));
    this.#text("cpu");
    this.#save(storageClass === undefined ? byteLength : byteLength / dtypeFacts(dtype).itemSize, false);
    this.#out.u8(OP.TUPLE, OP.BINPERSID);
  }

  #noHooks(): void {
    this.#name("collections", "OrderedDict");
    this.#out.u8(OP.EMPTY_TUPLE, OP.REDUCE);
  }

  #name(module: string, name: string): void {
    const line = `${module}\n${name}\n`;
    // An object, so that no text has the same key.
    const key = this.#names.get(line) ?? {};
    this.#names.set(line, key);
    if (this.#recall(key)) return;
    this.#out.u8(OP.GLOBAL);
    this.#out.append(encoder.encode(line));
    this.#remember(key);
  }

  #remember(key: unknown): void {
    const number = this.#memo.size;
    this.#memo.set(key, number);
    if (number < 256) this.#out.u8(OP.BINPUT, number);
    else {
      this.#out.u8(OP.LONG_BINPUT);
      this.#out.u32(number);
    }
  }

  #recall(key: unknown): boolean {
    const number = this.#memo.get(key);
    if (number === undefined) return false;
    if (number < 256) this.#out.u8(OP.BINGET, number);
    else {
      this.#out.u8(OP.LONG_BINGET);
      this.#out.u32(number);
    }
    return true;
  }
}

/** Bytes that grow as they are written. */
class ByteSink {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  u8(...bytes: readonly number[]): void {
    const at = this.#grow(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.#bytes[at + i] = bytes[i] as number;
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  i32(value: number): void {
    const at = this.#grow(4);
    this.#view.setInt32(at, value, true);
  }

  /** Big-endian, as the one number in a pickle that is. */
  f64(value: number): void {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value);
  }

  append(bytes: Uint8Array): void {
    const at = this.#grow(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room and returns where it starts. */
  #grow(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.byteLength) {
      const wider = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.byteLength));
      wider.set(this.#bytes.subarray(0, start));
      this.#bytes = wider;
      this.#view = new DataView(wider.buffer);
    }
    return start;
  }
}

/** The shortest two's complement, least byte first. */
function twosComplement(value: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length++;
  const hex = BigInt.asUintN(8 * length, value)
    .toString(16)
    .padStart(2 * length, "0");
  return Uint8Array.from(Buffer.from(hex, "hex").reverse());
}

function refusal(what: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `pt cannot hold ${what}`, {
    hint: "It holds null, booleans, numbers, bigints, text, bytes, arrays, plain objects, Map, Set, Tuple and tensors.",
    fix: "Leave it out or convert it; wrap typed arrays in a Tensor.",
  });
}
