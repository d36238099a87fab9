/** Members of zip archives, read and written in pieces, so that large ones are never joined in memory. */

import { asQuiverError, Inflater, type ZipMember, zipDirectory, zipLocalHeader } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import type { DecodeContext, EncodedValue } from "./codec.ts";
import { PLAIN } from "./context.ts";
import { crcOf, crcOfLarge, slices } from "./slices.ts";

/** A member's own bytes, where they begin in the stored value, and how far they are to be believed. */
export interface MemberBytes {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly context: DecodeContext;
}

/** Checks what was read of an archive to find its members: their headers and the directory. */
export function verifyFrame(
  bytes: Uint8Array,
  members: readonly ZipMember[],
  { verify }: DecodeContext,
): void {
  let end = 0;
  for (const member of members) {
    verify?.(member.headerOffset, member.offset);
    end = Math.max(end, member.offset + member.compressedSize);
  }
  // The directory lies somewhere between the last member and the archive's end.
  verify?.(end, bytes.byteLength);
}

/**
 * Reads a member at once. A stored one is a view on the archive; it is compared with its CRC-32 here unless the
 * archive is mapped: that one is guarded by its store's sums, part by part, and summing all of it would read all of
 * it. `array`: the member may be an npy file, which is then held to the size that its header says.
 */
export function readMember(
  bytes: Uint8Array,
  member: ZipMember,
  context: DecodeContext,
  array: boolean,
): MemberBytes {
  const stored = storedBytes(bytes, member);
  if (!member.deflated) {
    if (!context.mapped) checkCrc(crcOf(stored), member);
    return { bytes: stored, start: member.offset, context };
  }
  context.verify?.(member.offset, member.offset + member.compressedSize);
  try {
    const inflater = new Inflater(member.size, member.crc, array);
    for (const slice of slices(stored)) inflater.writeSync(slice);
    return { bytes: inflater.finish(), start: 0, context: PLAIN };
  } catch (error) {
    throw asQuiverError(error);
  }
}

/** The same without holding up the event loop. */
export async function readMemberAsync(
  bytes: Uint8Array,
  member: ZipMember,
  context: DecodeContext,
  array: boolean,
): Promise<MemberBytes> {
  const stored = storedBytes(bytes, member);
  if (!member.deflated) {
    if (!context.mapped) checkCrc(await crcOfLarge(stored), member);
    return { bytes: stored, start: member.offset, context };
  }
  await context.ready?.(member.offset, member.offset + member.compressedSize);
  try {
    const inflater = new Inflater(member.size, member.crc, array);
    for (const slice of slices(stored)) await inflater.write(slice);
    return { bytes: inflater.finish(), start: 0, context: PLAIN };
  } catch (error) {
    throw asQuiverError(error);
  }
}

function storedBytes(bytes: Uint8Array, member: ZipMember): Uint8Array {
  return bytes.subarray(member.offset, member.offset + member.compressedSize);
}

function checkCrc(found: number, member: ZipMember): void {
  if (found === member.crc) return;
  throw new QuiverError(
    "ERR_QUIVER_CORRUPT",
    `the CRC-32 of member ${JSON.stringify(member.name)} does not match`,
    { expected: member.crc, found },
  );
}

/** A member's bytes as they are stored, and what they stand for. */
export interface NewMember {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
  /** CRC-32 and number of the member's own bytes. */
  readonly crc: number;
  readonly size: number;
  readonly deflated: boolean;
}

/** An archive in pieces; stored members begin at multiples of 64 bytes. */
export class ArchiveWriter {
  readonly #parts: Uint8Array[] = [];
  readonly #members: ZipMember[] = [];
  #position = 0;

  add({ name, pieces, crc, size, deflated }: NewMember): void {
    const compressedSize = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const headerOffset = this.#position;
    const member = { name, deflated, crc, headerOffset, offset: 0, compressedSize, size };
    this.#push(zipLocalHeader(member), ...pieces);
    this.#members.push(member);
  }

  /** Adds the directory; nothing may be added after it. */
  finish(): EncodedValue {
    this.#push(zipDirectory(this.#members, this.#position));
    return { parts: this.#parts, byteLength: this.#position };
  }

  #push(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.#position += piece.byteLength;
    this.#parts.push(...pieces);
  }
}
