/** Named tensors as an npz archive: `numpy.load`, `numpy.savez`. */

import { type ZipMember, zipMembers } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { type MemberBytes, readMember, readMemberAsync, verifyFrame } from "./archive.ts";
import { decodeArray, isNumPyType, startsLikeNpy } from "./array.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, locatedAsync } from "./context.ts";
import { encodeArchive } from "./npz-write.ts";
import { isTensors, weightOf } from "./views.ts";

/** Members by name without `.npy`. Foreign archives may hold members that are no arrays; they come as bytes. */
export type NamedTensors = Readonly<Record<string, Tensor | Uint8Array>>;

/** The member name of a tensor that was stored on its own. */
const SOLE = "data";

/**
 * A tensor, or a plain object of tensors. Compression: "none" stores everything at multiples of 64 bytes, where it
 * can be mapped; "deflate" (level 0 to 9, default 6) deflates everything; by default arrays from 64 KiB on are
 * stored and smaller ones deflated. An archive with the one member `data` reads as a tensor, any other as an object.
 */
export const npz: Codec<Tensor | NamedTensors> = {
  name: "npz",
  extension: "npz",
  sharing: "shared",
  mappable: true,
  accepts: (value) => {
    const tensors = value instanceof Tensor ? [value] : isTensors(value) ? Object.values(value) : [];
    return tensors.length > 0 && tensors.every(({ dtype }) => isNumPyType(dtype));
  },
  async encode(value, options) {
    const members = value instanceof Tensor ? { [SOLE]: value } : value;
    if (!isTensors(members)) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", "npz holds a tensor or a plain object of tensors", {
        fix: 'Make every member a Tensor, or use the codec "json".',
      });
    }
    const encoded = await encodeArchive(Object.entries(members), options);
    return value instanceof Tensor ? { ...encoded, shape: value.shape, dtype: value.dtype } : encoded;
  },
  decode(bytes, context) {
    return located(context, () => {
      const members = readDirectory(bytes, context);
      return assemble(
        members.map((member) => [member.name, memberValue(readMember(bytes, member, context, true))]),
      );
    });
  },
  decodeAsync(bytes, context) {
    return locatedAsync(context, async () => {
      const named: [string, Tensor | Uint8Array][] = [];
      for (const member of readDirectory(bytes, context)) {
        named.push([member.name, memberValue(await readMemberAsync(bytes, member, context, true))]);
      }
      return assemble(named);
    });
  },
  weight(value) {
    if (value instanceof Tensor) return weightOf(value);
    return Object.values(value).reduce(
      (sum, part) => sum + (part instanceof Tensor ? weightOf(part) : part.byteLength),
      0,
    );
  },
};

/** Whether the first four bytes are those of a zip archive: of its first member, or of the end of an empty one. */
export function startsLikeZip(bytes: Uint8Array): boolean {
  const [p, k, part, kind] = bytes;
  return p === 0x50 && k === 0x4b && ((part === 3 && kind === 4) || (part === 5 && kind === 6));
}

/** The members; everything that was read to find them has been checked. */
function readDirectory(bytes: Uint8Array, context: DecodeContext): ZipMember[] {
  const members = zipMembers(bytes);
  verifyFrame(bytes, members, context);
  return members;
}

function assemble(named: readonly (readonly [string, Tensor | Uint8Array])[]): Tensor | NamedTensors {
  const members = Object.fromEntries(named.map(([name, value]) => [name.replace(/\.npy$/, ""), value]));
  const sole = named.length === 1 ? members[SOLE] : undefined;
  return sole instanceof Tensor ? sole : Object.freeze(members);
}

function memberValue({ bytes, start, context }: MemberBytes): Tensor | Uint8Array {
  if (startsLikeNpy(bytes)) return decodeArray(bytes, start, context);
  context.verify?.(start, start + bytes.byteLength);
  return bytes;
}
