/** Reading the file of one entry, while other hosts may be replacing it. */

import { type FileHandle, open } from "node:fs/promises";
import { QuiverError } from "../../shared/errors.ts";
import { ioError } from "../../shared/file-system.ts";
import { type FileHeader, headerEnd, parseHeader, USUAL_HEADER } from "./format.ts";

/** Bytes of a file system's block; what a file is counted as is a multiple of it. */
const BLOCK = 4096;

/** Node reads no more at once. */
const READ_AT_ONCE = 1024 ** 3;

/** How often a file is looked for again that was replaced while it was read. */
const ATTEMPTS = 3;

/** A file and what it says of itself. */
export interface Listed extends FileHeader {
  readonly path: string;
  /** Milliseconds. The file's time of modification: nobody modifies it, and whoever reads the entry sets it. */
  readonly usedAt: number;
  /** Bytes that the file counts as. */
  readonly allocated: number;
}

/** What the file says of itself; "damaged" for what is no entry, or not all of one. */
export function lookAt(path: string): Promise<Listed | undefined | "damaged"> {
  return reading(path, async (file) => {
    const { size, mtimeMs } = await file.stat();
    let start = await readStart(file, Math.min(size, USUAL_HEADER));
    const end = headerEnd(start);
    if (end !== undefined && end > start.byteLength && end <= size) start = await readStart(file, end);
    const header = parseHeader(start, size);
    return header ? { ...header, path, usedAt: mtimeMs, allocated: allocatedBytes(size) } : "damaged";
  });
}

/** The same, and the value: a view on a buffer of its own, aligned for any array. */
export function readWhole(
  path: string,
): Promise<(Listed & { readonly bytes: Uint8Array }) | undefined | "damaged"> {
  return reading(path, async (file) => {
    const { size, mtimeMs } = await file.stat();
    const start = await readStart(file, size);
    const header = parseHeader(start, size);
    if (header === undefined) return "damaged";
    const bytes = new Uint8Array(start.buffer, header.offset, header.record.size);
    return { ...header, path, usedAt: mtimeMs, allocated: allocatedBytes(size), bytes };
  });
}

/** What a file of so many bytes counts as. */
export function allocatedBytes(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

export function damaged(path: string, key: string): QuiverError {
  return new QuiverError("ERR_QUIVER_CORRUPT", "the file is not an entry, or not all of one", { path, key });
}

/** undefined where there is no file. */
async function reading<T>(path: string, read: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  for (let attempt = 1; ; attempt++) {
    let file: FileHandle | undefined;
    try {
      file = await open(path, "r");
      return await read(file);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return undefined;
      // Another host has removed the file that the name stood for; there may be a newer one.
      if (code === "ESTALE" && attempt < ATTEMPTS) continue;
      if (code === "ESTALE") return undefined;
      throw ioError(error, path);
    } finally {
      await file?.close();
    }
  }
}

/** The first bytes, fewer where the file is shorter, in an ArrayBuffer of their own. */
async function readStart(file: FileHandle, length: number): Promise<Buffer<ArrayBuffer>> {
  const buffer = Buffer.from(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, Math.min(length - done, READ_AT_ONCE), done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
