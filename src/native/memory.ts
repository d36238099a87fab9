/** Memory that is going to be filled. */

import { addon } from "./addon.ts";

/** Memory that holds whatever lay there. Costs half of what the system takes where each page is first written to. */
export function freshMemory(byteLength: number): ArrayBuffer {
  const bytes = Buffer.allocUnsafeSlow(byteLength);
  addon.populate(bytes);
  return bytes.buffer;
}
