/** What lies under the names of a namespace: rows of facts, and values that begin with the id of their row. */

import type { EncodedValue } from "../../codecs/codec.ts";
import { QuiverError } from "../../shared/errors.ts";
import { type EntryRecord, type EntryUse, parseRecord } from "../record.ts";

/** A row: the record, and what the entry is counted as. */
export interface Row {
  readonly record: EntryRecord;
  /** Estimated bytes of the server's memory. */
  readonly allocated: number;
}

/** Names in a server, all of a namespace with one hash tag. */
export function baseOf(prefix: string, namespace: string): string {
  return `${prefix}{${namespace}}:`;
}

/** Bytes of the id before a value. */
const ID_BYTES = 8;

/** What an entry costs the server beyond value, row and key: four index entries and allocators' slack, measured. */
const OVERHEAD = 450;

/** A key stands in its value's name and in two or three indexes. */
const COPIES_OF_KEY = 4;

export function rowOf(key: string, record: EntryRecord): { readonly row: Row; readonly text: string } {
  const recordBytes = Buffer.byteLength(JSON.stringify(record));
  const allocated = record.size + recordBytes + COPIES_OF_KEY * Buffer.byteLength(key) + OVERHEAD;
  const row = { record, allocated };
  return { row, text: JSON.stringify(row) };
}

/** undefined for what is absent or no row. */
export function parseRow(reply: unknown): Row | undefined {
  if (!isText(reply)) return undefined;
  try {
    const { record, allocated } = JSON.parse(reply.toString());
    const known = parseRecord(JSON.stringify(record));
    return known && Number.isFinite(allocated) ? { record: known, allocated } : undefined;
  } catch {
    return undefined;
  }
}

/** The id of the record and the bytes of the value, copied. */
export function valueWithId(record: EntryRecord, parts: EncodedValue["parts"]): Buffer {
  return Buffer.concat([Buffer.from(record.id, "hex"), ...parts]);
}

/** The bytes of the value; undefined when they are another's than the record's. */
export function bytesOf(record: EntryRecord, reply: unknown): Uint8Array | undefined {
  if (!Buffer.isBuffer(reply) || reply.byteLength !== ID_BYTES + record.size) return undefined;
  if (reply.toString("hex", 0, ID_BYTES) !== record.id) return undefined;
  return reply.subarray(ID_BYTES);
}

/** Usage from what the server says: whole seconds since the last access, or -1 where its policy doesn't keep them. */
export function useOf(record: EntryRecord, idle: unknown, accesses: unknown, time: number): EntryUse {
  const seconds = Number(idle);
  const lastAccessed = seconds < 0 ? record.createdAt : Math.max(record.createdAt, time - seconds * 1000);
  return { lastAccessed: Math.min(lastAccessed, time), accessCount: Number(accesses) };
}

export function isText(reply: unknown): reply is string | Buffer {
  return typeof reply === "string" || Buffer.isBuffer(reply);
}

/** A reply that must be an array; anything else comes from something that is no Redis. */
export function arrayOf(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new QuiverError("ERR_QUIVER_CORRUPT", "the server's reply is not what the command gives");
}
