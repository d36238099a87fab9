/** Checks of what the functions here are given. */

import type { Namespace } from "../cache/namespace.ts";
import { badArgument, shown } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";

/** Throws ERR_QUIVER_BAD_VALUE unless `value` is a whole number from `least` on. */
export function checkCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw badValue(`${name} must be a whole number from ${least} on, not ${shown(value)}`);
}

/** Throws ERR_QUIVER_BAD_VALUE unless `value` is finite and above zero. */
export function checkPositive(name: string, value: number): void {
  if (Number.isFinite(value) && value > 0) return;
  throw badValue(`${name} must be a finite number above 0, not ${shown(value)}`);
}

/** Throws ERR_QUIVER_BAD_VALUE unless `value` is finite. */
export function checkFinite(name: string, value: number): void {
  if (!Number.isFinite(value)) throw badValue(`${name} must be a finite number, not ${shown(value)}`);
}

/** Throws ERR_QUIVER_BAD_VALUE unless `value` is one of `choices`. */
export function checkChoice(name: string, value: unknown, choices: readonly (string | number)[]): void {
  if (choices.some((choice) => choice === value)) return;
  throw badValue(`${name} must be ${choices.join(" or ")}, not ${shown(value)}`);
}

/** Throws ERR_QUIVER_BAD_VALUE unless `value` can be read from and written to. */
export function checkNamespace(name: string, value: Namespace): void {
  const { get, set }: Partial<Namespace> = value ?? {};
  if (typeof get !== "function" || typeof set !== "function") {
    throw badArgument(name, value, "a namespace: cache.namespace(name)");
  }
}

function badValue(message: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", message, {
    hint: "The computation has no meaning, or would have no end, for this number.",
    fix: "Correct the argument that the message names.",
  });
}
