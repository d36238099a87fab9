/** The folder of a namespace: where the file of a key lies, how files come and go. */

import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { QuiverError } from "../../shared/errors.ts";
import { ioError, syncFolder } from "../../shared/file-system.ts";
import { freshId } from "../record.ts";
import { type FileHeader, headerEnd, parseHeader, USUAL_HEADER } from "./format.ts";

const EXTENSION = ".qv";
const FILE_NAME = /^[0-9a-f]{64}\.qv$/;
const FOLDER_NAME = /^[0-9a-f]{2}$/;

/** Unfinished writes of this age belong to nobody any more. */
const ABANDONED_AFTER = 3_600_000;

/** Files that are looked at together. */
const TOGETHER = 32;

/** A file and what it says of itself. */
export interface Listed extends FileHeader {
  readonly path: string;
  /** Milliseconds; whoever reads an entry sets it. */
  readonly accessedAt: number;
  readonly allocated: number;
}

/** Bytes of a file system's block; what a file is counted as is a multiple of it. */
const BLOCK = 4096;

export class EntryFolder {
  readonly #root: string;
  readonly #durable: boolean;

  /** `durable`: what was published is on the disk, as far as the file system says. */
  constructor(root: string, durable: boolean) {
    this.#root = root;
    this.#durable = durable;
  }

  /** Makes the folders, and removes what processes that died left behind. */
  async prepare(): Promise<void> {
    for (const name of ["data", "tmp", "locks"]) await mkdir(join(this.#root, name), { recursive: true });
    const before = Date.now() - ABANDONED_AFTER;
    for (const name of await namesIn(join(this.#root, "tmp"))) {
      const path = join(this.#root, "tmp", name);
      const age = await stat(path).catch(() => undefined);
      if (age !== undefined && age.mtimeMs < before) await rm(path, { recursive: true, force: true });
    }
  }

  pathOf(key: string): string {
    const name = nameOf(key);
    return join(this.#root, "data", name.slice(0, 2), name.slice(2, 4), `${name}${EXTENSION}`);
  }

  lockPathOf(key: string): string {
    return join(this.#root, "locks", nameOf(key));
  }

  /** A name for something unfinished. */
  temporary(): string {
    return join(this.#root, "tmp", freshId());
  }

  /** Writes parts one after the other to a new file and puts it in the place of the key's. */
  async publish(key: string, parts: readonly Uint8Array[]): Promise<void> {
    const temporary = this.temporary();
    try {
      const file = await open(temporary, "wx", 0o644);
      try {
        for (const part of parts) await writeAll(file, part);
      } finally {
        await file.close();
      }
      await this.move(temporary, key);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  }

  /** Syncs a finished file and puts it in the place of the key's. */
  async move(temporary: string, key: string): Promise<void> {
    const path = this.pathOf(key);
    try {
      if (this.#durable) await syncFile(temporary);
      await rename(temporary, path).catch(async (error: NodeJS.ErrnoException) => {
        // The folder is new, or another process has just cleared the namespace.
        if (error.code !== "ENOENT") throw error;
        await mkdir(dirname(path), { recursive: true });
        await rename(temporary, path);
      });
      if (this.#durable) await syncFolder(dirname(path));
    } catch (error) {
      throw ioError(error, path);
    }
  }

  /** The key's file; undefined where there is none. ERR_QUIVER_CORRUPT for one that is damaged. */
  async header(key: string): Promise<Listed | undefined> {
    const path = this.pathOf(key);
    const found = await look(path);
    if (found === undefined) return undefined;
    if (found === "damaged" || found.key !== key) throw damaged(path, key);
    return found;
  }

  /** Removes the file, if it still has the revision; whether it did. In between nobody finds it. */
  async removeIf(listed: Pick<Listed, "path"> & { record: { revision: string } }): Promise<boolean> {
    const aside = this.temporary();
    try {
      await rename(listed.path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw ioError(error, listed.path);
    }
    const found = await look(aside);
    const same = found !== undefined && found !== "damaged" && found.record.revision === listed.record.revision;
    // What another process has put there meanwhile goes back, unless there is something newer still.
    if (!same && (await look(listed.path)) === undefined) {
      await rename(aside, listed.path).catch(() => undefined);
      return false;
    }
    await unlink(aside).catch(() => undefined);
    return same;
  }

  /** Removes whatever lies under the key. */
  async remove(key: string): Promise<void> {
    const path = this.pathOf(key);
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw ioError(error, path);
    });
  }

  /** Moves everything away at once; the folder that it is in now. */
  async moveAside(): Promise<string> {
    const aside = this.temporary();
    const data = join(this.#root, "data");
    await rename(data, aside).catch((error: unknown) => {
      throw ioError(error, data);
    });
    await mkdir(data, { recursive: true });
    return aside;
  }

  /** Every entry, in no order; damaged and foreign files are left out. */
  async *entries(data: string = join(this.#root, "data")): AsyncGenerator<Listed> {
    for (const outer of await foldersIn(data)) {
      for (const inner of await foldersIn(outer)) {
        const paths = (await namesIn(inner)).filter((name) => FILE_NAME.test(name)).map((name) => join(inner, name));
        for (let start = 0; start < paths.length; start += TOGETHER) {
          for (const found of await Promise.all(paths.slice(start, start + TOGETHER).map(look))) {
            if (found !== undefined && found !== "damaged") yield found;
          }
        }
      }
    }
  }
}

/** What a file of so many bytes is counted as. */
export function allocatedBytes(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(bytes, done, bytes.byteLength - done, at)).bytesWritten;
  }
}

export function damaged(path: string, key: string): QuiverError {
  return new QuiverError("ERR_QUIVER_CORRUPT", "the file is not an entry, or not all of one", { path, key });
}

function nameOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

async function look(path: string): Promise<Listed | undefined | "damaged"> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESTALE: another host has removed the file that the name stood for a moment ago.
    if (code === "ENOENT" || code === "ESTALE") return undefined;
    throw ioError(error, path);
  }
  try {
    const { size, atimeMs } = await file.stat();
    let start = await readStart(file, Math.min(size, USUAL_HEADER));
    const end = headerEnd(start);
    if (end !== undefined && end > start.byteLength && end <= size) start = await readStart(file, end);
    const header = parseHeader(start, size);
    return header ? { ...header, path, accessedAt: atimeMs, allocated: allocatedBytes(size) } : "damaged";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESTALE") return undefined;
    throw ioError(error, path);
  } finally {
    await file.close();
  }
}

async function readStart(file: FileHandle, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  return (await namesIn(folder)).filter((name) => FOLDER_NAME.test(name)).map((name) => join(folder, name));
}

/** Sorted names; none where the folder is gone. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ESTALE") return [];
    throw ioError(error, folder);
  }
}
