/** Values that are the caller's alone, made of those that are shared. */

import { isPlainObject } from "../codecs/values.ts";
import { Tensor } from "../tensor/tensor.ts";

/**
 * A copy that may be written to: of bytes, tensors, of objects and arrays of them, and of what structured clone knows.
 * Tensors in mapped files are read ahead and verified off the main thread.
 */
export async function privateCopy(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) {
    await value.ready();
    const { dtype, shape, data } = value;
    return new Tensor(data.slice(), shape, { dtype });
  }
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return Promise.all(value.map(privateCopy));
  if (!isPlainObject(value)) return structuredClone(value);
  const members = Object.entries(value).map(
    async ([name, member]) => [name, await privateCopy(member)] as const,
  );
  return Object.fromEntries(await Promise.all(members));
}
