/** Files as stores and codecs use them: durable renames, and the system's errors as ours. */

import { open } from "node:fs/promises";
import { QuiverError } from "./errors.ts";

/** Makes the rename itself durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The error of a system call on the path. */
export function ioError(error: unknown, path: string): QuiverError {
  const cause = error as NodeJS.ErrnoException;
  switch (cause.code) {
    case "ENOENT":
      return new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no ${path}`, { path, cause });
    case "EACCES":
    case "EPERM":
      return new QuiverError("ERR_QUIVER_PERMISSION", `${path} may not be accessed`, { path, cause });
    case "ENOSPC":
    case "EDQUOT":
      return new QuiverError("ERR_QUIVER_DISK_FULL", `there is no room for ${path}`, { path, cause });
    default:
      return new QuiverError("ERR_QUIVER_IO", `${path}: ${cause.message}`, { path, cause });
  }
}
