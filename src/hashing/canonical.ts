/**
 * Values as bytes with one spelling each: equal values are equal bytes in every process, whatever the order in which
 * their fields were set, and different values are different bytes. Never read back, only hashed.
 */

import { createHash } from "node:crypto";
import { isPlainObject, loneSurrogate, nameOf } from "../codecs/values.ts";
import { sum128 } from "../native/digest.ts";
import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Form } from "./form.ts";

/** What stands for the bytes of large arrays: a fast sum, or where inputs are not trusted a cryptographic one. */
export type ArrayHash = "xxh3" | "sha256";

/** One byte before each value says what it is. Changing one changes the keys of all that is stored. */
const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  number: 4,
  notANumber: 5,
  bigint: 6,
  text: 7,
  illFormedText: 8,
  date: 9,
  regexp: 10,
  array: 11,
  hole: 12,
  object: 13,
  map: 14,
  set: 15,
  typedArray: 16,
  buffer: 17,
  tensor: 18,
  convertible: 19,
} as const;

/** Arrays up to this many bytes go in as they are. */
const INLINE = 1024;

/** Deeper values are refused, before the walk runs out of stack. */
const DEEPEST = 1000;

interface Position {
  readonly path: (string | number)[];
  /** The containers that the walk is inside of. */
  readonly open: Set<object>;
  readonly hash: ArrayHash;
}

/**
 * Appends a value. NaN is one value, 0 and -0 are two, an absent field and one that is undefined differ. Fields of
 * objects, entries of Maps and members of Sets count in any order; typed arrays, buffers and tensors by type, shape
 * and elements; instances of classes by the class's name and what their `toJSON` gives. `root` names the value in
 * messages. Throws ERR_QUIVER_BAD_VALUE for functions, symbols, cycles, and instances without `toJSON`. Costs a walk
 * over all of it on the calling thread; bytes of arrays at some 10 GB/s, with "sha256" 1 to 2.
 */
export function appendCanonical(form: Form, value: unknown, root: string, hash: ArrayHash): void {
  append(form, value, { path: [root], open: new Set(), hash });
}

function append(form: Form, value: unknown, position: Position): void {
  switch (typeof value) {
    case "undefined":
      form.byte(TAG.undefined);
      break;
    case "boolean":
      form.byte(value ? TAG.true : TAG.false);
      break;
    case "number":
      appendNumber(form, value);
      break;
    case "bigint":
      form.byte(TAG.bigint);
      form.text(value.toString(16));
      break;
    case "string":
      appendText(form, value);
      break;
    case "object":
      if (value === null) form.byte(TAG.null);
      else appendObject(form, value, position);
      break;
    default:
      throw refusal(`a ${typeof value}`, position);
  }
}

function appendNumber(form: Form, value: number): void {
  if (Number.isNaN(value)) {
    form.byte(TAG.notANumber);
  } else {
    form.byte(TAG.number);
    form.double(value);
  }
}

function appendText(form: Form, value: string): void {
  // All lone surrogates have the same UTF-8 form.
  const wellFormed = loneSurrogate(value) < 0;
  form.byte(wellFormed ? TAG.text : TAG.illFormedText);
  form.text(value, wellFormed ? "utf8" : "utf16le");
}

function appendObject(form: Form, value: object, position: Position): void {
  if (ArrayBuffer.isView(value)) {
    form.byte(TAG.typedArray);
    // A Buffer is a Uint8Array; DataViews have a name of their own.
    form.text((value as unknown as Readonly<Record<symbol, string>>)[Symbol.toStringTag] ?? "");
    appendBytes(form, value, position);
  } else if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    form.byte(TAG.buffer);
    appendBytes(form, new Uint8Array(value), position);
  } else if (value instanceof Tensor) {
    form.byte(TAG.tensor);
    form.text(value.dtype);
    form.count(value.shape.length);
    for (const size of value.shape) form.count(size);
    appendBytes(form, value.data, position);
  } else if (value instanceof Date) {
    form.byte(TAG.date);
    appendNumber(form, value.getTime());
  } else if (value instanceof RegExp) {
    form.byte(TAG.regexp);
    form.text(value.source);
    form.text(value.flags);
  } else {
    if (position.open.has(value)) throw refusal("a cycle", position);
    if (position.open.size >= DEEPEST) throw refusal(`more than ${DEEPEST} levels`, position);
    position.open.add(value);
    appendContainer(form, value, position);
    position.open.delete(value);
  }
}

function appendContainer(form: Form, value: object, position: Position): void {
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (Array.isArray(value)) {
    appendArray(form, value, position);
  } else if (value instanceof Map) {
    form.byte(TAG.map);
    const entries = Array.from(value, ([key, item], index) =>
      formOf(position, `<entry ${index}>`, (entry) => {
        append(entry, key, position);
        append(entry, item, position);
      }),
    );
    appendUnordered(form, entries);
  } else if (value instanceof Set) {
    form.byte(TAG.set);
    const members = Array.from(value, (item, index) =>
      formOf(position, `<member ${index}>`, (member) => append(member, item, position)),
    );
    appendUnordered(form, members);
  } else if (typeof toJSON === "function") {
    form.byte(TAG.convertible);
    appendText(form, isPlainObject(value) ? "" : value.constructor.name);
    append(form, toJSON.call(value, ""), position);
  } else if (isPlainObject(value)) {
    form.byte(TAG.object);
    appendFields(form, value, Object.keys(value), position);
  } else {
    throw refusal(nameOf(value), position);
  }
}

function appendArray(form: Form, array: readonly unknown[], position: Position): void {
  form.byte(TAG.array);
  form.count(array.length);
  for (let index = 0; index < array.length; index++) {
    const item = array[index];
    if (item === undefined && !(index in array)) form.byte(TAG.hole);
    else at(index, position, () => append(form, item, position));
  }
  // What a match of a regular expression carries besides its groups, for one.
  const named = Object.keys(array).filter((name) => !isIndex(name, array.length));
  appendFields(form, array as never, named, position);
}

function appendFields(
  form: Form,
  value: Readonly<Record<string, unknown>>,
  names: string[],
  position: Position,
): void {
  if (
    Object.getOwnPropertySymbols(value).some((symbol) =>
      Object.prototype.propertyIsEnumerable.call(value, symbol),
    )
  )
    throw refusal("a field named by a symbol", position);
  form.count(names.length);
  for (const name of names.sort()) {
    appendText(form, name);
    at(name, position, () => append(form, value[name], position));
  }
}

/** Forms in the order of their bytes, whatever order they were made in. */
function appendUnordered(form: Form, parts: Buffer[]): void {
  form.count(parts.length);
  for (const part of parts.sort(Buffer.compare)) form.raw(part);
}

function appendBytes(form: Form, view: ArrayBufferView, { hash }: Position): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (bytes.byteLength <= INLINE) {
    form.raw(bytes);
  } else {
    form.count(bytes.byteLength);
    form.text(hash === "xxh3" ? sum128(bytes) : createHash("sha256").update(bytes).digest("hex"));
  }
}

function formOf(position: Position, name: string, write: (form: Form) => void): Buffer {
  const form = new Form();
  at(name, position, () => write(form));
  return form.bytes;
}

function at(name: string | number, position: Position, walk: () => void): void {
  position.path.push(name);
  walk();
  position.path.pop();
}

function isIndex(name: string, length: number): boolean {
  const index = Number(name);
  return index < length && String(index) === name;
}

function refusal(what: string, { path }: Position): QuiverError {
  const [root, ...rest] = path.slice(0, 20);
  const where = rest.map((name) => (typeof name === "number" ? `[${name}]` : `.${name}`)).join("");
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `${root}${where} is ${what}, which makes no key`, {
    hint: "Keys are made of data that is equal in every process: no functions, symbols, cycles, or instances of classes without toJSON.",
    fix: "Leave it out of the arguments, give the class a toJSON, or give `key`, a function that picks what counts.",
  });
}
