/** Readers of option values: from what was written, in code or as text, to what is meant, or ERR_QUIVER_BAD_OPTION. */

import type { Compression } from "../codecs/codec.ts";
import type { EvictionPolicy } from "../policy/eviction.ts";
import { type EvictionOption, resolvePolicy } from "../policy/resolve.ts";
import { badOption } from "../shared/options.ts";
import { type Duration, parseDuration, parseSize, type Size } from "../shared/units.ts";
import { type CodecOption, checkCodec } from "./codec-set.ts";

export function size(value: unknown, field: string): number {
  return parseSize(value as Size, field);
}

export function duration(value: unknown, field: string): number {
  if (typeof value !== "number" && typeof value !== "string") {
    throw badOption(field, value, 'a number of milliseconds or a duration such as "30m"');
  }
  return parseDuration(value as Duration, field);
}

/** A whole number from 0 on. */
export function count(value: unknown, field: string): number {
  const number = numberIn(value);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw badOption(field, value, "a whole number, not negative");
}

/** A number from 0 on. */
export function amount(value: unknown, field: string): number {
  const number = numberIn(value);
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return number;
  throw badOption(field, value, "a number, not negative");
}

export function text(value: unknown, field: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw badOption(field, value, "a text that is not empty");
}

/** A whole number of 32 bits. */
export function integer(value: unknown, field: string): number {
  const number = numberIn(value);
  if ((number | 0) === number) return number;
  throw badOption(field, value, "a whole number of 32 bits");
}

/** A number in (0, 1]. */
export function share(value: unknown, field: string): number {
  const number = numberIn(value);
  if (number > 0 && number <= 1) return number;
  throw badOption(field, value, "a number above 0 and up to 1");
}

export function flag(value: unknown, field: string): boolean {
  if (value === true || value === "true" || value === "1") return true;
  if (value === false || value === "false" || value === "0") return false;
  throw badOption(field, value, "true or false");
}

export function oneOf<const Choice extends string>(
  ...choices: readonly Choice[]
): (value: unknown, field: string) => Choice {
  return (value, field) => {
    const choice = choices.find((candidate) => candidate === value);
    if (choice !== undefined) return choice;
    throw badOption(field, value, choices.map((candidate) => JSON.stringify(candidate)).join(" or "));
  };
}

/** Lets null through, which means none. */
export function nullable<T>(
  reader: (value: unknown, field: string) => T,
): (value: unknown, field: string) => T | null {
  return (value, field) => (value === null ? null : reader(value, field));
}

export function policy(value: unknown, field: string): EvictionPolicy {
  return resolvePolicy(value as EvictionOption, field);
}

export function codec(value: unknown, field: string): CodecOption {
  if (typeof value === "string" && value !== "") return value;
  checkCodec(value, field);
  return value;
}

/** A name, or an object with a name and a level; whether a codec can do it is for the codec to say. */
export function compression(value: unknown, field: string): Compression {
  const name = oneOf("none", "deflate", "zstd");
  if (typeof value !== "object" || value === null) return name(value, field);
  const { kind, level } = value as { kind?: unknown; level?: unknown };
  const given = name(kind, `${field}.kind`);
  return level === undefined ? { kind: given } : { kind: given, level: integer(level, `${field}.level`) };
}

/** A list, or anything else to walk over; a text is refused, which would be walked over letter by letter. */
export function iterable<Item>(value: Iterable<Item>, field: string): Iterable<Item> {
  if (typeof value === "object" && value !== null && Symbol.iterator in value) return value;
  throw badOption(field, value, "a list");
}

export function callable<Fn extends (...args: never) => unknown>(value: Fn, field: string): Fn {
  if (typeof value === "function") return value;
  throw badOption(field, value, "a function");
}

function numberIn(value: unknown): number {
  if (typeof value === "string" && /^-?\d+(?:\.\d+)?$/.test(value)) return Number(value);
  return typeof value === "number" ? value : Number.NaN;
}
