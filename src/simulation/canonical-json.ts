/** JSON with one spelling for each value, to be hashed. */

import { isPlainObject } from "../codecs/values.ts";
import { QuiverError } from "../shared/errors.ts";

/**
 * The value as JSON with the fields of objects in ascending order. Numbers that are equal but for their sign, 0 and
 * -0, are told apart. Throws ERR_QUIVER_BAD_OPTION for what JSON can't hold as it is: NaN, undefined, functions,
 * class instances, cycles.
 */
export function canonicalJson(value: unknown): string {
  return write(value, "", []);
}

function write(value: unknown, path: string, parents: readonly unknown[]): string {
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "object" && !parents.includes(value)) {
    const inside = [...parents, value];
    if (Array.isArray(value)) {
      return `[${Array.from(value, (item, index) => write(item, `${path}[${index}]`, inside)).join(",")}]`;
    }
    if (isPlainObject(value)) {
      const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
      const written = fields.map(
        ([name, item]) => `${JSON.stringify(name)}:${write(item, `${path}.${name}`, inside)}`,
      );
      return `{${written.join(",")}}`;
    }
  }
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `parameters${path} is not a JSON value`, {
    hint: "Results are found again by their parameters, which must therefore be plain data without cycles.",
    fix: "Pass null, booleans, finite numbers, strings, and arrays and plain objects of these.",
  });
}
