/** Values in single files, outside any cache. */

import { randomUUID } from "node:crypto";
import { open, readFile, rename, unlink } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { ioError, syncFolder, writeAll } from "../shared/file-system.ts";
import type { Codec, Compression } from "./codec.ts";
import { codecByExtension, codecByFile, codecByValue, codecFor } from "./registry.ts";

export interface SaveOptions {
  /** Name of a codec, or one of your own. Default: by the path's extension, else by the value. */
  readonly codec?: string | Codec;
  /** Default: the codec's own. */
  readonly compression?: Compression;
  readonly signal?: AbortSignal;
}

/**
 * Reads a file by its extension, then by its first bytes; bytes when neither says. The whole file is read into
 * memory, and tensors are views on it where alignment permits. Rejects with ERR_QUIVER_NOT_FOUND, or
 * ERR_QUIVER_CORRUPT when the file is not what its extension says.
 */
export async function loadFile(path: string): Promise<unknown> {
  const file = await readFile(path).catch((error: unknown) => {
    throw ioError(error, path);
  });
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  const codec = codecByFile(extname(path).slice(1), bytes);
  const context = { path, mapped: false };
  return codec.decodeAsync === undefined ? codec.decode(bytes, context) : codec.decodeAsync(bytes, context);
}

/**
 * Writes a value to a file. Whoever opens `path` sees the old file or the whole new one, also after a crash; when
 * this resolves the new one is on disk. Rejects with ERR_QUIVER_BAD_VALUE when the codec can't hold the value.
 */
export async function saveFile(path: string, value: unknown, options: SaveOptions = {}): Promise<void> {
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
    throw ioError(error, path);
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
