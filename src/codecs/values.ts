/** What kind of value something is, as far as several codecs ask. */

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Made by `{}`, `Object.create(null)` or the like, in any realm; not an array and no instance of a class. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // The root prototype of any realm has none itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Position of the first lone surrogate, which UTF-8 cannot hold; -1 when there is none. */
export function loneSurrogate(text: string): number {
  return text.search(LONE_SURROGATE);
}

/** The value in the words of an error message; never its contents. */
export function nameOf(value: unknown): string {
  if (typeof value === "number" || value === undefined || value === null) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  return `an instance of ${value.constructor?.name ?? "a class"}`;
}
