/** The add-on's functions on tensor bytes. All bytes cross as views and are only read or written during the call. */

import { isQuiverErrorCode, QuiverError } from "../shared/errors.ts";
import { addon } from "./addon.ts";

/** What the header of an npy file says about the data behind it. Checked against nothing but itself. */
export interface NpyHeader {
  /** A dtype name as `DType` has it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly fortranOrder: boolean;
  /** The elements' bytes must be swapped before use. */
  readonly bigEndian: boolean;
  /** Where the data starts, in bytes from the start of the file. */
  readonly dataOffset: number;
}

/** One member of a zip archive as its central directory has it; positions are checked against the archive's length. */
export interface ZipMember {
  readonly name: string;
  readonly deflated: boolean;
  readonly crc: number;
  /** Where the member's local header starts, from the start of the archive. */
  readonly headerOffset: number;
  /** Where the stored bytes start. */
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
}

export interface Summary {
  /** Least and greatest value, NaN left out; absent when there is none. 64-bit integers beyond 2^53 are rounded. */
  readonly min?: number;
  readonly max?: number;
  /** Mean of all values that are not NaN. */
  readonly mean?: number;
  /** How many values are NaN. */
  readonly nan: number;
}

/** Deflates a stream of chunks on the thread pool. One call at a time; failures reach the caller as the add-on made them. */
export interface Deflater {
  /** The chunk is copied before the call returns; resolves to what has come out so far. */
  write(chunk: Uint8Array): Promise<Uint8Array>;
  /** The rest of the stream. */
  finish(): Promise<Uint8Array>;
  /** CRC-32 of what went in. */
  readonly crc: number;
}

/** Inflates a stream of chunks, on the thread pool or at once. One call at a time. */
export interface Inflater {
  /** The chunk is copied before the call returns. Rejects with ERR_QUIVER_CORRUPT, also when more comes out than was declared. */
  write(chunk: Uint8Array): Promise<void>;
  writeSync(chunk: Uint8Array): void;
  /** The inflated bytes, once; throws ERR_QUIVER_CORRUPT when there are fewer than declared or their CRC-32 differs. */
  finish(): Uint8Array;
}

/** CRC-32 over pieces. */
export interface Crc32 {
  readonly value: number;
  update(bytes: Uint8Array): void;
}

interface TensorAddon {
  npyParse(bytes: Uint8Array): NpyHeader;
  npyHeader(dtype: string, shape: readonly number[], fortranOrder: boolean): Uint8Array;
  zipMembers(archive: Uint8Array): ZipMember[];
  zipLocalHeader(member: ZipMember): Uint8Array;
  zipDirectory(members: readonly ZipMember[], position: number): Uint8Array;
  gatherRows(
    source: Uint8Array,
    rows: number,
    rowBytes: number,
    stride: number,
    indices: Uint32Array,
    out: Uint8Array,
  ): void;
  compact(
    source: Uint8Array,
    itemSize: number,
    shape: readonly number[],
    strides: readonly number[],
    out: Uint8Array,
  ): void;
  swapBytes(source: Uint8Array, width: number, out: Uint8Array): void;
  summarise(bytes: Uint8Array, dtype: string): Summary;
  readonly Crc32: new () => Crc32;
  readonly Deflater: new (level: number) => Deflater;
  readonly Inflater: new (size: number, crc: number) => Inflater;
}

const native = addon as unknown as TensorAddon;

/** Errors of the add-on carry a code and a message only; this makes them what users catch. Anything else passes as it is. */
export function asQuiverError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof QuiverError) return error;
  const code = (error as { code?: unknown }).code;
  return isQuiverErrorCode(code) ? new QuiverError(code, error.message, { cause: error }) : error;
}

function translated<Args extends unknown[], Result>(
  call: (...args: Args) => Result,
): (...args: Args) => Result {
  return (...args) => {
    try {
      return call(...args);
    } catch (error) {
      throw asQuiverError(error);
    }
  };
}

/** Reads the header of a whole npy file. Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for arrays that hold no plain numbers. */
export const npyParse: TensorAddon["npyParse"] = translated(native.npyParse);

/** The npy header for such an array, a multiple of 64 bytes long; the data follows it directly. Throws ERR_QUIVER_UNSUPPORTED for bfloat16. */
export const npyHeader: TensorAddon["npyHeader"] = translated(native.npyHeader);

/** The members of a zip archive; of equal names the last. Contents and CRCs are not checked. Throws ERR_QUIVER_CORRUPT. */
export const zipMembers: TensorAddon["zipMembers"] = translated(native.zipMembers);

/** The header before a member's bytes; pads stored members to 64 bytes. `member.offset` is not read. */
export const zipLocalHeader: TensorAddon["zipLocalHeader"] = translated(native.zipLocalHeader);

/** What follows the last member: the directory, starting at `position`. */
export const zipDirectory: TensorAddon["zipDirectory"] = translated(native.zipDirectory);

/** Copies the rows `indices` of `source` into `out`; `stride` is the bytes from row to row. Throws ERR_QUIVER_OUT_OF_RANGE before anything is copied. */
export const gatherRows: TensorAddon["gatherRows"] = translated(native.gatherRows);

/** Copies a strided tensor that starts at the first byte of `source` into `out` row by row. Strides count elements. */
export const compact: TensorAddon["compact"] = translated(native.compact);

/** Copies numbers of `width` bytes in the other byte order. */
export const swapBytes: TensorAddon["swapBytes"] = translated(native.swapBytes);

/** Extremes and mean of dense elements; takes about a second for 2 GB. Throws ERR_QUIVER_UNSUPPORTED for complex numbers. */
export const summarise: TensorAddon["summarise"] = translated(native.summarise);

export const Crc32: TensorAddon["Crc32"] = native.Crc32;
export const Deflater: TensorAddon["Deflater"] = native.Deflater;
export const Inflater: TensorAddon["Inflater"] = native.Inflater;
