/** What may be a key, and what may name a namespace. */

import { QuiverError } from "./errors.ts";

/** Longest key, in bytes of its UTF-8 form. */
export const MAX_KEY_BYTES = 16_384;

/** Beyond this many units a regular expression is quicker than a loop. */
const PLAIN_LENGTH = 32;

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/;
const ROOT_FILES: ReadonlySet<string> = new Set(["readme", "readme.md", "cachedir.tag"]);
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Throws ERR_QUIVER_BAD_KEY unless `key` is a non-empty string of at most 16,384 UTF-8 bytes without NUL and
 * without lone surrogates: those all become U+FFFD in UTF-8, so that different keys would be one.
 */
export function checkKey(key: unknown): asserts key is string {
  if (isPlainKey(key)) return;
  if (typeof key !== "string") throw badKey(`a key must be a string, not ${describe(key)}`);
  if (key.length === 0) throw badKey("a key must not be empty");
  // A UTF-16 unit is at most three bytes of UTF-8, so that short keys need no counting.
  if (key.length > MAX_KEY_BYTES / 3 && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw badKey(`a key has ${Buffer.byteLength(key)} bytes; ${MAX_KEY_BYTES} are allowed`, key);
  }
  if (key.includes("\0")) throw badKey("a key must not contain NUL", key);
  if (LONE_SURROGATE.test(key)) throw badKey("a key must be well-formed, without lone surrogates", key);
}

/** Whether a key is short and of ASCII other than NUL: most are, and then there is nothing else to look for. */
function isPlainKey(key: unknown): boolean {
  if (typeof key !== "string" || key.length === 0 || key.length > PLAIN_LENGTH) return false;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    if (unit === 0 || unit > 127) return false;
  }
  return true;
}

/**
 * Throws ERR_QUIVER_BAD_NAMESPACE unless `name` can be a folder in a cache on every file system: see the
 * code's hint; device names of Windows and the names of files in a cache's root are refused in any case.
 */
export function checkNamespace(name: unknown): asserts name is string {
  if (typeof name !== "string") throw badNamespace(`a namespace must be a string, not ${describe(name)}`);
  if (!NAMESPACE.test(name))
    throw badNamespace(`${JSON.stringify(name.slice(0, 200))} cannot name a namespace`);
  const folded = name.toLowerCase();
  if (ROOT_FILES.has(folded) || WINDOWS_DEVICE.test(folded) || name.endsWith(".")) {
    throw badNamespace(`${JSON.stringify(name)} is a reserved name`);
  }
}

/** Order of two strings by their UTF-8 bytes, which is the order by code points; for `sort`. */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return codePointRank(a) - codePointRank(b);
  }
  return left.length - right.length;
}

/** Moves surrogates, which stand for code points above 0xFFFF, behind all other UTF-16 units. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function describe(value: unknown): string {
  return value === null ? "null" : typeof value;
}

function badKey(message: string, key?: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_KEY", message, { key: key?.slice(0, 200) });
}

function badNamespace(message: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_NAMESPACE", message);
}
