/** What structured clone keeps and JSON does not, in V8's own format, which only Node reads. */

import { deserialize, serialize } from "node:v8";
import { QuiverError } from "../shared/errors.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, refuseCompression } from "./context.ts";
import { isPlainObject, nameOf } from "./values.ts";

/** Which format gives a value back as it was. "foreign": none, as with functions and instances of classes. */
export type Keeper = "json" | "clone" | "foreign";

/**
 * Holds undefined, bigints, NaN, Date, RegExp, Map, Set, typed arrays, errors, and objects that refer to each other
 * in any way. Refuses functions, symbols and instances of other classes, which would come back as something else.
 * As fast as JSON. Whoever can write the files can make reading fail in ways that JSON can't.
 */
export const clone: Codec = {
  name: "clone",
  extension: "v8",
  // Maps, Sets and Dates can't be frozen.
  sharing: "cloned",
  accepts: (value) => keeperOf(value) !== "foreign",
  encode(value, options) {
    refuseCompression("clone", options);
    if (keeperOf(value) === "foreign") {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `clone cannot hold ${nameOf(value)} or something in it`, {
        hint: "Functions, symbols and instances of classes would come back as something else.",
      });
    }
    const bytes = serialize(value);
    return { parts: [bytes], byteLength: bytes.byteLength };
  },
  decode,
  whole: true,
};

function decode(bytes: Uint8Array, context: DecodeContext): unknown {
  return located(context, () => {
    context.verify?.(0, bytes.byteLength);
    try {
      return deserialize(bytes);
    } catch (cause) {
      throw new QuiverError("ERR_QUIVER_CORRUPT", `not a cloned value: ${(cause as Error).message}`, {
        cause,
      });
    }
  });
}

/** Looks at all of a value. */
export function keeperOf(value: unknown): Keeper {
  const seen = new Set<object>();
  const pending: unknown[] = [value];
  let keeper: Keeper = "json";
  while (pending.length > 0) {
    const next = pending.pop();
    switch (typeof next) {
      case "string":
      case "boolean":
        continue;
      case "number":
        if (!Number.isFinite(next) || Object.is(next, -0)) keeper = "clone";
        continue;
      case "undefined":
      case "bigint":
        keeper = "clone";
        continue;
      case "object":
        break;
      default:
        return "foreign";
    }
    if (next === null) continue;
    if (seen.has(next)) {
      keeper = "clone";
      continue;
    }
    seen.add(next);
    if (Array.isArray(next)) {
      if (Object.keys(next).length !== next.length) keeper = "clone";
    } else if (isPlainObject(next)) {
      if (typeof next["toJSON"] === "function") return "foreign";
    } else if (isBuiltIn(next)) {
      keeper = "clone";
    } else {
      return "foreign";
    }
    for (const member of membersOf(next)) pending.push(member);
  }
  return keeper;
}

function isBuiltIn(value: object): boolean {
  return (
    value instanceof Date ||
    value instanceof RegExp ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof ArrayBuffer ||
    value instanceof Error ||
    ArrayBuffer.isView(value)
  );
}

function membersOf(value: object): readonly unknown[] {
  if (value instanceof Map) return [...value].flat(1);
  if (value instanceof Set) return [...value];
  return Array.isArray(value) || isPlainObject(value) ? Object.values(value) : [];
}
