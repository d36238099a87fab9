/** JSON values as UTF-8 files that every language reads. */

import { QuiverError } from "../shared/errors.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, refuseCompression } from "./context.ts";
import { isPlainObject, nameOf } from "./values.ts";

/** Deeper values are refused, before the check itself or JSON.stringify runs out of stack. */
const DEEPEST = 1000;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Refuses what JSON would change in silence: NaN and infinities, undefined, functions, symbols, bigints, typed
 * arrays, Map, Set and other instances of classes, unless they have a toJSON of their own; and cycles. As
 * everywhere in JavaScript, a property that is undefined is left out, and -0 becomes 0.
 */
export const json: Codec = {
  name: "json",
  extension: "json",
  sharing: "frozen",
  accepts: (value) => kindOf(value) !== "foreign",
  encode(value, options) {
    refuseCompression("json", options);
    check(value, { path: [], open: [] });
    const bytes = encoder.encode(JSON.stringify(value));
    return { parts: [bytes], byteLength: bytes.byteLength };
  },
  decode,
  whole: true,
};

function decode(bytes: Uint8Array, context: DecodeContext): unknown {
  return located(context, () => {
    context.verify?.(0, bytes.byteLength);
    try {
      return JSON.parse(decoder.decode(bytes));
    } catch (cause) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", `not JSON: ${(cause as Error).message}`, {
        hint: "Damaged, or written with NaN or Infinity, which only some programs read.",
        cause,
      });
    }
  });
}

/** Where the check is: the way from the root, and the containers that it has entered, mostly a few and never more than DEEPEST. */
interface Position {
  readonly path: (string | number)[];
  readonly open: object[];
}

type Kind = "plain" | "array" | "object" | "convertible" | "foreign";

function kindOf(value: unknown): Kind {
  if (isPlain(value)) return "plain";
  return typeof value === "object" ? kindOfObject(value as object) : "foreign";
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || Number.isFinite(value) || value === null || typeof value === "boolean";
}

function kindOfObject(value: object): Kind {
  if (Array.isArray(value)) return "array";
  if ("toJSON" in value && typeof value.toJSON === "function" && !ArrayBuffer.isView(value))
    return "convertible";
  return isPlainObject(value) ? "object" : "foreign";
}

function check(value: unknown, position: Position): void {
  const kind = kindOf(value);
  if (kind === "plain") return;
  if (kind === "foreign") throw refusal(nameOf(value), position);
  const container = value as object;
  if (position.open.includes(container)) throw refusal("a cycle", position);
  if (position.open.length >= DEEPEST) throw refusal(`more than ${DEEPEST} levels`, position);
  position.open.push(container);
  if (kind === "array") checkItems(container as unknown[], position);
  else if (kind === "object") checkProperties(container as Readonly<Record<string, unknown>>, position);
  else {
    const { toJSON } = container as { toJSON(key: string): unknown };
    check(toJSON.call(container, String(position.path.at(-1) ?? "")), position);
  }
  position.open.pop();
}

function checkItems(items: readonly unknown[], position: Position): void {
  // One that grows meanwhile may never end.
  const { length } = items;
  for (let index = 0; index < length; index++) {
    const item = items[index];
    // JSON would write a hole as null.
    if (item === undefined && !(index in items)) throw refusal("an array with holes", position);
    checkAt(index, item, position);
  }
}

function checkProperties(object: Readonly<Record<string, unknown>>, position: Position): void {
  for (const name of Object.keys(object)) {
    const item = object[name];
    if (item !== undefined) checkAt(name, item, position);
  }
}

function checkAt(name: string | number, value: unknown, position: Position): void {
  if (isPlain(value)) return;
  position.path.push(name);
  check(value, position);
  position.path.pop();
}

function refusal(what: string, { path }: Position): QuiverError {
  const where = path.slice(0, 20).map((name) => (typeof name === "number" ? `[${name}]` : `.${name}`));
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `JSON cannot hold ${what}, which is at $${where.join("")}`, {
    hint: "It would be lost or changed without a word.",
  });
}
