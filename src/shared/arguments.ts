/** What is asked of arguments that are no options, and how a wrong one is shown. */

import { QuiverError } from "./errors.ts";

/** The error for an argument of the wrong kind. */
export function badArgument(name: string, found: unknown, expected: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `${name} is ${shown(found)}, which is not ${expected}`, {
    hint: "The call was given something else than it takes.",
    fix: `Give ${name} as ${expected}.`,
    expected,
    found,
  });
}

/** Throws ERR_QUIVER_BAD_VALUE unless the argument has fields. */
export function checkObject(name: string, value: object, expected = "an object"): void {
  if (typeof value !== "object" || value === null) throw badArgument(name, value, expected);
}

/** The error for `new` where something has to be opened first; `open` is the call to make instead. */
export function notConstructed(name: string, open: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `a ${name} is not made by new`, {
    hint: "It has to be opened first, which takes time and may fail.",
    fix: `Write await ${open}.`,
  });
}

/** Whether it can be a path: Node writes half of a surrogate pair as another character, and NUL ends a path. */
export function isPath(value: unknown): value is string {
  return typeof value === "string" && value !== "" && !value.includes("\0") && value.isWellFormed();
}

/** Throws ERR_QUIVER_BAD_OPTION unless it can be a path. */
export function checkPath(path: unknown, name = "path"): asserts path is string {
  if (isPath(path)) return;
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${name} is ${shown(path)}, which is not a path`, {
    fix: "Give a non-empty string; fileURLToPath(url) makes one of a URL.",
    expected: "a path",
    found: path,
  });
}

/** A value in a message: what it is where its contents are no help. Never throws. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
