/** Named tensors as an npz archive: `numpy.load`, `numpy.savez`. */

import { asQuiverError, Inflater, type ZipMember, zipMembers } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { decodeArray, isNumPyType, startsLikeNpy } from "./array.ts";
import type { Codec, DecodeContext } from "./codec.ts";
import { located, locatedAsync, PLAIN } from "./context.ts";
import { encodeArchive } from "./npz-write.ts";
import { crcOf, crcOfLarge, slices } from "./slices.ts";
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
  accepts: (value) => {
    const tensors = value instanceof Tensor ? [value] : isTensors(value) ? Object.values(value) : [];
    return tensors.length > 0 && tensors.every(({ dtype }) => isNumPyType(dtype));
  },
  async encode(value, options) {
    const members = value instanceof Tensor ? { [SOLE]: value } : value;
    if (!isTensors(members)) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", "npz holds a tensor or a plain object of tensors", {
        fix: 'make every member a Tensor, or use the codec "json"',
      });
    }
    const encoded = await encodeArchive(Object.entries(members), options);
    return value instanceof Tensor ? { ...encoded, shape: value.shape, dtype: value.dtype } : encoded;
  },
  decode(bytes, context) {
    return located(context, () => {
      const members = readDirectory(bytes, context);
      return assemble(members.map((member) => [member.name, decodeMember(bytes, member, context)]));
    });
  },
  decodeAsync(bytes, context) {
    return locatedAsync(context, async () => {
      const named: [string, Tensor | Uint8Array][] = [];
      for (const member of readDirectory(bytes, context)) {
        named.push([member.name, await decodeMemberAsync(bytes, member, context)]);
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

/** The one tensor of a value read from npz, whatever its name. Throws ERR_QUIVER_BAD_VALUE when there is not exactly one. */
export function soleTensor(value: Tensor | NamedTensors): Tensor {
  if (value instanceof Tensor) return value;
  const names = Object.keys(value);
  const only = names.length === 1 ? value[names[0] as string] : undefined;
  if (only instanceof Tensor) return only;
  throw new QuiverError(
    "ERR_QUIVER_BAD_VALUE",
    `the archive holds not one tensor but ${names.length} members`,
    {
      hint: `they are named ${names.slice(0, 10).join(", ")}`,
      fix: "take one of them by its name",
    },
  );
}

/** The members; everything that was read to find them has been checked. */
function readDirectory(bytes: Uint8Array, context: DecodeContext): ZipMember[] {
  const members = zipMembers(bytes);
  let end = 0;
  for (const member of members) {
    context.verify?.(member.headerOffset, member.offset);
    end = Math.max(end, member.offset + member.compressedSize);
  }
  // The directory lies somewhere between the last member and the archive's end.
  context.verify?.(end, bytes.byteLength);
  return members;
}

function assemble(named: readonly (readonly [string, Tensor | Uint8Array])[]): Tensor | NamedTensors {
  const members = Object.fromEntries(named.map(([name, value]) => [name.replace(/\.npy$/, ""), value]));
  const sole = named.length === 1 ? members[SOLE] : undefined;
  return sole instanceof Tensor ? sole : Object.freeze(members);
}

function decodeMember(bytes: Uint8Array, member: ZipMember, context: DecodeContext): Tensor | Uint8Array {
  const stored = storedBytes(bytes, member);
  if (!member.deflated) {
    if (checksItself(context)) checkCrc(crcOf(stored), member);
    return memberValue(stored, member.offset, context);
  }
  context.verify?.(member.offset, member.offset + member.compressedSize);
  const inflater = new Inflater(member.size, member.crc, true);
  return inflated(inflater, () => {
    for (const slice of slices(stored)) inflater.writeSync(slice);
  });
}

async function decodeMemberAsync(
  bytes: Uint8Array,
  member: ZipMember,
  context: DecodeContext,
): Promise<Tensor | Uint8Array> {
  const stored = storedBytes(bytes, member);
  if (!member.deflated) {
    if (checksItself(context)) checkCrc(await crcOfLarge(stored), member);
    return memberValue(stored, member.offset, context);
  }
  await context.ready?.(member.offset, member.offset + member.compressedSize);
  const inflater = new Inflater(member.size, member.crc, true);
  try {
    for (const slice of slices(stored)) await inflater.write(slice);
  } catch (error) {
    throw asQuiverError(error);
  }
  return inflated(inflater, () => {});
}

function storedBytes(bytes: Uint8Array, member: ZipMember): Uint8Array {
  return bytes.subarray(member.offset, member.offset + member.compressedSize);
}

/** A mapped value is guarded by its store's sums, part by part; summing all of it would read all of it. */
function checksItself(context: DecodeContext): boolean {
  return !context.mapped;
}

function inflated(inflater: Inflater, write: () => void): Tensor | Uint8Array {
  try {
    write();
    return memberValue(inflater.finish(), 0, PLAIN);
  } catch (error) {
    throw asQuiverError(error);
  }
}

function memberValue(member: Uint8Array, start: number, context: DecodeContext): Tensor | Uint8Array {
  if (startsLikeNpy(member)) return decodeArray(member, start, context);
  context.verify?.(start, start + member.byteLength);
  return member;
}

function checkCrc(found: number, member: ZipMember): void {
  if (found === member.crc) return;
  throw new QuiverError(
    "ERR_QUIVER_CORRUPT",
    `the CRC-32 of member ${JSON.stringify(member.name)} does not match`,
    {
      expected: member.crc,
      found,
    },
  );
}
