/** Values in single files, outside any cache. */

import { randomUUID } from "node:crypto";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { type MappedFile, mapFile } from "../native/files.ts";
import { checkPath } from "../shared/arguments.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import { ioError, syncFolder, writeAll, writeError } from "../shared/file-system.ts";
import { checkArrayLength } from "../shared/largest-array.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { type LoadOptions, openWith, type Tensor } from "../tensor/tensor.ts";
import type { Codec, Compression, DecodeContext } from "./codec.ts";
import { decodeStoredAsync } from "./context.ts";
import { namedTensors } from "./pt/contents.ts";
import { codecByExtension, codecByFile, codecByValue, codecFor } from "./registry.ts";

/** Options of `saveFile`. */
export interface SaveOptions {
  /** Name of a codec, or one of your own. Default: by the path's extension, else by the value. */
  readonly codec?: string | Codec;
  /** Default: the codec's own. */
  readonly compression?: Compression;
  readonly signal?: AbortSignal;
}

const SAVE_OPTIONS: OptionNames<SaveOptions> = { codec: true, compression: true, signal: true };
const LOAD_OPTIONS: OptionNames<LoadOptions> = { map: true };

/** Smaller files are read: a mapping costs as much. */
const MAP_FROM = 64 * 1024;

/** Enough to tell every format. */
const FIRST_BYTES = 128;

/**
 * Loads a file by its extension, then by its first bytes; bytes when neither says. Rejects with
 * ERR_QUIVER_NOT_FOUND, or ERR_QUIVER_CORRUPT when the file is not what its extension says, ERR_QUIVER_TOO_LARGE beyond 4 GiB. A mapped file that is
 * replaced stays what it was; one that is cut short makes its tensors throw ERR_QUIVER_CORRUPT at their next use.
 */
export async function loadFile(path: string, options: LoadOptions = {}): Promise<unknown> {
  checkPath(path);
  checkOptions(options, LOAD_OPTIONS);
  const { codec, file } = await readFile(path, options.map ?? true).catch((error: unknown) => {
    throw isQuiverError(error) ? error : ioError(error, path);
  });
  const context = "isWhole" in file ? mappedContext(path, file) : { path, mapped: false };
  const value = await decodeStoredAsync(codec, file, context);
  // What was parsed may have been cut off meanwhile.
  context.verify?.(0, 0);
  return value;
}

openWith(async (path, options): Promise<Tensor> => {
  const tensors = namedTensors(await loadFile(path, options));
  const [only] = tensors;
  if (only !== undefined && tensors.length === 1) return only[1];
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `${path} holds not one tensor but ${tensors.length}`, {
    path,
    hint: `They are named ${tensors
      .map(([name]) => name)
      .slice(0, 10)
      .join(", ")}.`,
    fix: "Use loadFile and take one of them by its name.",
  });
});

/** A file, mapped or read, with the codec that it is for. */
async function readFile(
  path: string,
  map: boolean,
): Promise<{ codec: Codec; file: MappedFile | { readonly bytes: Uint8Array } }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    checkArrayLength(
      size,
      path,
      "Store the tensors in several files, or rows of vectors as a vector cache, which reads files of any size.",
      path,
    );
    const { buffer, bytesRead } = await file.read({ buffer: new Uint8Array(FIRST_BYTES), position: 0 });
    const codec = codecByFile(extname(path).slice(1), buffer.subarray(0, bytesRead));
    const mapped = map && codec.mappable && size >= MAP_FROM ? mapFile(file.fd) : undefined;
    if (mapped !== undefined) return { codec, file: mapped };
    const whole = await file.readFile();
    return { codec, file: { bytes: new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength) } };
  } finally {
    await file.close();
  }
}

function mappedContext(path: string, mapped: MappedFile): DecodeContext {
  const verify = (): void => {
    if (mapped.isWhole()) return;
    throw new QuiverError("ERR_QUIVER_CORRUPT", `${path} was cut short while it was in use`, {
      path,
      hint: "Another program truncated or rewrote it; what was lost reads as zeros.",
      fix: "Load it again; programs that replace files by a rename never do this.",
    });
  };
  return { path, mapped: true, verify, ready: async () => verify(), instant: true };
}

/**
 * Writes a value to a file. Whoever opens `path` sees the old file or the whole new one, also after a crash; when
 * this resolves the new one is on disk. Rejects with ERR_QUIVER_BAD_VALUE when the codec can't hold the value.
 */
export async function saveFile(path: string, value: unknown, options: SaveOptions = {}): Promise<void> {
  checkPath(path);
  checkOptions(options, SAVE_OPTIONS);
  const codec = chooseCodec(path, value, options.codec);
  const { compression, signal } = options;
  const encoded = await codec.encode(value, {
    ...(compression === undefined ? {} : { compression }),
    ...(signal === undefined ? {} : { signal }),
  });
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path).slice(0, 100)}.${randomUUID()}.tmp`);
  try {
    await writeNew(temporary, encoded.parts);
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw writeError(error, path);
  }
}

function chooseCodec(path: string, value: unknown, wanted: string | Codec | undefined): Codec {
  if (typeof wanted === "object") return wanted;
  if (wanted !== undefined) return codecFor(wanted);
  return codecByExtension(extname(path).slice(1)) ?? codecByValue(value);
}

async function writeNew(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (const part of parts) await writeAll(file, part);
    await file.sync();
  } finally {
    await file.close();
  }
}
