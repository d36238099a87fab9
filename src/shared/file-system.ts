/** Files as stores and codecs use them: durable renames, and the system's errors as ours. */

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { QuiverError } from "./errors.ts";

/** Some network file systems can't sync folders; a rename there is as durable as it gets. */
const CANNOT_SYNC: ReadonlySet<string> = new Set(["EINVAL", "ENOTSUP", "EBADF", "EISDIR", "EPERM"]);

/** Makes the rename itself durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!CANNOT_SYNC.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

/** Writes all of the bytes: where the last write ended, or at `position`. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(bytes, done, bytes.byteLength - done, at)).bytesWritten;
  }
}

/** The error of a system call that was to make the file: what can be missing is its folder. */
export function writeError(error: unknown, path: string): QuiverError {
  const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
  return ioError(error, isMissing ? dirname(path) : path);
}

/** The error of a system call on the path. */
export function ioError(error: unknown, path: string): QuiverError {
  const cause = error as NodeJS.ErrnoException;
  switch (cause.code) {
    case "ENOENT":
      return new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no ${path}`, {
        path,
        cause,
        fix: "Correct the path.",
      });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new QuiverError("ERR_QUIVER_PERMISSION", `${path} may not be accessed`, { path, cause });
    case "ENOSPC":
    case "EDQUOT":
      return new QuiverError("ERR_QUIVER_DISK_FULL", `there is no room for ${path}`, { path, cause });
    default:
      return new QuiverError("ERR_QUIVER_IO", `${path}: ${cause.message}`, { path, cause });
  }
}
