/** One digest for a value of tensors, so that two processes can tell whether they hold the same. */

import { createHash } from "node:crypto";
import { Tensor } from "quiver-cache";

/** SHA-256 over names, dtypes, shapes and elements. Every tensor must be ready. */
export function digestOf(value) {
  const hash = createHash("sha256");
  const add = (name, part) => {
    hash.update(`${name}\0`);
    if (part instanceof Tensor) {
      const { buffer, byteOffset, byteLength } = part.data;
      hash
        .update(`${part.dtype}[${part.shape.join(",")}]\0`)
        .update(new Uint8Array(buffer, byteOffset, byteLength));
    } else if (part instanceof Uint8Array || typeof part === "string") hash.update(part);
    else if (typeof part === "object" && part !== null) {
      for (const inner of Object.keys(part).sort()) add(inner, part[inner]);
    } else hash.update(String(part));
  };
  add("", value);
  return hash.digest("hex");
}
