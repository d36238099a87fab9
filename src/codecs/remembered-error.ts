/** Errors that are kept in place of a value, so that what fails is not tried again at once. */

import { QuiverError } from "../shared/errors.ts";
import { keeperOf } from "./clone.ts";
import type { Codec } from "./codec.ts";
import { json } from "./json.ts";
import { isPlainObject } from "./values.ts";

/** Stands where a value would, so that nobody takes it for one. */
export class RememberedError {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Keeps an error's name, message, code and those of its fields that JSON holds; of anything else that was thrown, its text. */
export const rememberedError: Codec<RememberedError> = {
  name: "error",
  extension: "error",
  // Made anew for everybody: who catches an error may add to it.
  sharing: "private",
  accepts: (value) => value instanceof RememberedError,
  encode: ({ error }, options) => json.encode(plain(error), options),
  decode(bytes, context) {
    const fields = json.decode(bytes, context);
    if (!isPlainObject(fields) || typeof fields["message"] !== "string") {
      throw new QuiverError("ERR_QUIVER_CORRUPT", "not a remembered error", { key: context.key });
    }
    const { message, name, ...rest } = fields;
    const error = Object.assign(new Error(message), rest);
    if (typeof name === "string") Object.defineProperty(error, "name", { value: name, configurable: true });
    return new RememberedError(error);
  },
};

function plain(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const fields = Object.entries(error).filter(([, value]) => keeperOf(value) === "json");
  return { ...Object.fromEntries(fields), name: error.name, message: error.message };
}
