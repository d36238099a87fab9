/**
 * A self-describing file: everything about one entry, and its value. See docs/format.md.
 *
 *     magic 8 | header length u32 | value offset u32 | first 8 bytes of the header's SHA-256 | header, JSON | value
 */

import { createHash } from "node:crypto";
import { QuiverError } from "../../shared/errors.ts";
import { type EntryRecord, parseRecord } from "../record.ts";

const MAGIC = Buffer.from("QVFILE1\n", "latin1");
const PREFIX_BYTES = 24;
/** Values begin at a multiple of this, so that arrays in them can be viewed. */
const ALIGNMENT = 64;

/** Bytes that hold prefix and header of nearly every file; one read brings both. */
export const USUAL_HEADER = 4096;

/** No header is longer: a key of 16 KiB in JSON, and what people call metadata. */
const LONGEST_HEADER = 16 * 1024 * 1024;

/** What a file says before its value. */
export interface FileHeader {
  readonly key: string;
  readonly record: EntryRecord;
  /** Where the value begins. */
  readonly offset: number;
}

/** Prefix and header, padded to where the value begins: at `offset`, or as early as possible. ERR_QUIVER_TOO_LARGE. */
export function encodeHeader(key: string, record: EntryRecord, offset = 0): Buffer {
  const header = Buffer.from(JSON.stringify({ key, record }));
  const needed = Math.ceil((PREFIX_BYTES + header.byteLength) / ALIGNMENT) * ALIGNMENT;
  if (header.byteLength > LONGEST_HEADER || (offset > 0 && needed > offset)) {
    throw new QuiverError("ERR_QUIVER_TOO_LARGE", `the facts take ${header.byteLength} bytes`, { key });
  }
  const bytes = Buffer.alloc(Math.max(needed, offset));
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(header.byteLength, 8);
  bytes.writeUInt32LE(bytes.byteLength, 12);
  sumOf(header).copy(bytes, 16);
  header.copy(bytes, PREFIX_BYTES);
  return bytes;
}

/** How many bytes from the start hold prefix and header; undefined for what is no such file. */
export function headerEnd(start: Buffer): number | undefined {
  if (start.byteLength < PREFIX_BYTES || !start.subarray(0, MAGIC.byteLength).equals(MAGIC)) return undefined;
  const length = start.readUInt32LE(8);
  const end = PREFIX_BYTES + length;
  return length <= LONGEST_HEADER && end <= start.readUInt32LE(12) ? end : undefined;
}

/** The header from the first `headerEnd` bytes of a file of `size` bytes; undefined for what is damaged or cut short. */
export function parseHeader(start: Buffer, size: number): FileHeader | undefined {
  const end = headerEnd(start);
  if (end === undefined || end > start.byteLength) return undefined;
  const header = start.subarray(PREFIX_BYTES, end);
  if (!sumOf(header).equals(start.subarray(16, PREFIX_BYTES))) return undefined;
  const offset = start.readUInt32LE(12);
  try {
    const { key, record } = JSON.parse(header.toString());
    const known = parseRecord(JSON.stringify(record));
    if (typeof key !== "string" || known === undefined || offset + known.size !== size) return undefined;
    return { key, record: known, offset };
  } catch {
    return undefined;
  }
}

function sumOf(header: Buffer): Buffer {
  return createHash("sha256").update(header).digest().subarray(0, 8);
}
