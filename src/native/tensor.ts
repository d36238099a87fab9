/**
 * The add-on's functions on tensor bytes. Bytes cross as views and are only read or written during the call; what
 * goes on to the thread pool is copied first.
 */

import { isQuiverErrorCode, QuiverError } from "../shared/errors.ts";
import { type Addon, addon } from "./addon.ts";

export type {
  ArrowColumn,
  PtContainer,
  PtGraph,
  PtStorage,
  SafetensorsHeader,
  Summary,
  ZipMember,
} from "./generated.ts";

/** Errors of the add-on carry a code and a message only; this makes them what users catch. Anything else passes as it is. */
export function asQuiverError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof QuiverError) return error;
  const code = (error as { code?: unknown }).code;
  return isQuiverErrorCode(code) ? new QuiverError(code, error.message, { cause: error }) : error;
}

/** The same function, whose errors are what users catch. */
export function translated<Args extends unknown[], Result>(
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

/** What the header of an npy file says about the data behind it. */
export interface NpyHeader {
  /** Name of the element type: "float32", "int64", … */
  readonly dtype: string;
  /** Sizes, outermost axis first. */
  readonly shape: readonly number[];
  /** The data lies column by column. */
  readonly fortranOrder: boolean;
  /** The bytes of each number must be swapped before use. */
  readonly bigEndian: boolean;
  /** Where the data starts, in bytes from the start of the file. */
  readonly dataOffset: number;
}

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for arrays that hold no plain numbers. */
export const npyParse: (...args: Parameters<Addon["npyParse"]>) => NpyHeader = translated((...args) =>
  JSON.parse(addon.npyParse(...args)),
);

/** Throws ERR_QUIVER_UNSUPPORTED for bfloat16 and 8-bit floats, ERR_QUIVER_BAD_VALUE beyond 64 axes. */
export const npyHeader: Addon["npyHeader"] = translated(addon.npyHeader);

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for elements smaller than a byte. */
export const safetensorsParse: Addon["safetensorsParse"] = translated(addon.safetensorsParse);

/** Throws ERR_QUIVER_UNSUPPORTED for complex128, ERR_QUIVER_BAD_VALUE for names that can't be. */
export const safetensorsLayout: Addon["safetensorsLayout"] = translated(addon.safetensorsLayout);

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for columns that are neither tensors nor texts. */
export const arrowParse: Addon["arrowParse"] = translated(addon.arrowParse);

/** What lies around the data of such columns in an Arrow file. Throws ERR_QUIVER_BAD_VALUE for what Arrow can't hold. */
export const arrowLayout: Addon["arrowLayout"] = translated(addon.arrowLayout);

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for programs and versions that are not read. */
export const ptOpen: Addon["ptOpen"] = translated(addon.ptOpen);

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for what asks for code to be run; the message names it. */
export const ptParse: Addon["ptParse"] = translated(addon.ptParse);

/** Throws as `ptParse`. */
export const ptParseLegacy: Addon["ptParseLegacy"] = translated(addon.ptParseLegacy);

export const ptIsLegacy: Addon["ptIsLegacy"] = addon.ptIsLegacy;

/** Throws ERR_QUIVER_CORRUPT, or ERR_QUIVER_UNSUPPORTED for encryption and other ways to compress. */
export const zipMembers: Addon["zipMembers"] = translated(addon.zipMembers);

/** Throws ERR_QUIVER_BAD_VALUE for names beyond 65,535 bytes. */
export const zipLocalHeader: Addon["zipLocalHeader"] = translated(addon.zipLocalHeader);

/** Throws ERR_QUIVER_BAD_VALUE for names beyond 65,535 bytes. */
export const zipDirectory: Addon["zipDirectory"] = translated(addon.zipDirectory);

/** Throws ERR_QUIVER_OUT_OF_RANGE for an index that names no row, ERR_QUIVER_BAD_VALUE where lengths don't fit or memory overlaps. */
export const gatherRows: Addon["gatherRows"] = translated(addon.gatherRows);

/** Throws ERR_QUIVER_BAD_VALUE where lengths don't fit or memory overlaps. */
export const compact: Addon["compact"] = translated(addon.compact);

/** Throws ERR_QUIVER_BAD_VALUE where lengths don't fit or memory overlaps. */
export const swapBytes: Addon["swapBytes"] = translated(addon.swapBytes);

/** Throws ERR_QUIVER_UNSUPPORTED for complex numbers, which have no order. */
export const summarise: Addon["summarise"] = translated(addon.summarise);

export const Crc32: Addon["Crc32"] = addon.Crc32;

/** Its promises reject with the add-on's own errors: see `asQuiverError`. */
export const Deflater: Addon["Deflater"] = addon.Deflater;

/** Its methods fail with the add-on's own errors: see `asQuiverError`. */
export const Inflater: Addon["Inflater"] = addon.Inflater;
export type Inflater = InstanceType<Addon["Inflater"]>;
