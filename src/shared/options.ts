/** What is asked of options wherever they are given, and the words for those that can't be followed. */

import { shown } from "./arguments.ts";
import { QuiverError } from "./errors.ts";

/** The names of all fields of an options type; the compiler sees to it that none is left out or made up. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true };

/** Wrong names up to so many letters away are taken for slips of the keyboard. */
const SLIP = 2;

/**
 * Throws ERR_QUIVER_BAD_OPTION unless `options` is an object that has no fields but the known ones, and under `signal`
 * nothing but a signal; `field` is what they are called.
 */
export function checkOptions(
  options: unknown,
  known: Readonly<Record<string, true>>,
  field = "options",
): asserts options is object {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw badOption(field, options, "an object");
  }
  for (const name in options) {
    if (Object.hasOwn(known, name)) continue;
    throw unknownOption(field === "options" ? name : `${field}.${name}`, name, Object.keys(known));
  }
  const { signal }: { readonly signal?: unknown } = options;
  if (signal !== undefined && !isSignal(signal)) throw badOption("signal", signal, "an AbortSignal");
}

/** Known by its shape: signals of other realms and of polyfills do as well. */
function isSignal(value: unknown): boolean {
  const { aborted, addEventListener }: Partial<AbortSignal> = value ?? {};
  return typeof aborted === "boolean" && typeof addEventListener === "function";
}

/** The error for an option that has a value of the wrong kind. */
export function badOption(field: string, found: unknown, expected: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_OPTION", `${field} is ${shown(found)}, which is not ${expected}`, {
    fix: `Give ${field} as ${expected}.`,
    expected,
    found,
  });
}

/** The error for an option that nobody knows; `field` names it as it was written, `name` without its place. */
export function unknownOption(field: string, name: string, known: readonly string[]): QuiverError {
  const meant = nearest(name, known);
  return new QuiverError("ERR_QUIVER_BAD_OPTION", `there is no option ${field}`, {
    hint: `Known are ${known.join(", ")}.`,
    fix: `${meant === undefined ? "Correct the name" : `Write ${meant}`}, or leave the option out.`,
  });
}

/** The known name that a wrong one was probably to be. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((other) => distance(name.toLowerCase(), other.toLowerCase()));
  const least = Math.min(...distances);
  return least <= SLIP && least < name.length / 2 ? known[distances.indexOf(least)] : undefined;
}

/** Letters to insert, remove or replace to get from one text to the other (Levenshtein), row by row. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
