/** The folder of a namespace: where the file of a key lies, how files come and go. */

import { createHash } from "node:crypto";
import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { ioError, syncFolder, writeAll } from "../../shared/file-system.ts";
import { freshId } from "../record.ts";
import { damaged, type Listed, lookAt, readWhole } from "./entry-file.ts";

const EXTENSION = ".qv";
const FILE_NAME = /^[0-9a-f]{64}\.qv$/;
const FOLDER_NAME = /^[0-9a-f]{2}$/;

/** Unfinished writes and locks of this age belong to nobody any more. */
const ABANDONED_AFTER = 3_600_000;

/** How often a folder is made again that others keep moving away. */
const ATTEMPTS = 10;

/** Files that are looked at together. */
export const TOGETHER = 32;

type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

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
    for (const name of ["data", "tmp", "locks"]) await makeFolder(join(this.#root, name));
    const before = Date.now() - ABANDONED_AFTER;
    for (const folder of [join(this.#root, "tmp"), join(this.#root, "locks")]) {
      for (const name of await namesIn(folder)) {
        const path = join(folder, name);
        const age = await stat(path).catch(() => undefined);
        if (age !== undefined && age.mtimeMs < before) await rm(path, { recursive: true, force: true });
      }
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

  /** A small file beside the data; undefined where there is none. */
  note(name: string): Promise<string | undefined> {
    return textIn(join(this.#root, name));
  }

  /** Replaces it. */
  async writeNote(name: string, text: string): Promise<void> {
    await this.#publish(join(this.#root, name), [Buffer.from(text)]);
  }

  /** Writes parts one after the other to a new file and puts it in the place of the key's. */
  async publish(key: string, parts: Pieces): Promise<void> {
    await this.#publish(this.pathOf(key), parts);
  }

  /** Syncs and closes a finished file and puts it in the place of the key's. */
  async move(temporary: string, file: FileHandle, key: string): Promise<void> {
    if (this.#durable) await file.sync();
    await file.close();
    await this.#move(temporary, this.pathOf(key));
  }

  /** What the key's file says; undefined where there is none. ERR_QUIVER_CORRUPT for one that is damaged. */
  async header(key: string): Promise<Listed | undefined> {
    return ownOf(key, this.pathOf(key), await lookAt(this.pathOf(key)));
  }

  /** The same with the value, which has not been compared with its digest. */
  async value(key: string): Promise<(Listed & { readonly bytes: Uint8Array }) | undefined> {
    return ownOf(key, this.pathOf(key), await readWhole(this.pathOf(key)));
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
    const found = await lookAt(aside);
    const same = typeof found === "object" && found.record.revision === listed.record.revision;
    // What another process has put there meanwhile goes back, unless there is something newer still.
    if (!same) await link(aside, listed.path).catch(() => undefined);
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

  /** Moves everything away at once; the folder that it is in now, undefined where another process has just done so. */
  async moveAside(): Promise<string | undefined> {
    const aside = this.temporary();
    const data = join(this.#root, "data");
    try {
      await rename(data, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw ioError(error, data);
    }
    await makeFolder(data);
    return aside;
  }

  /** Every entry, in no order; damaged and foreign files are left out. */
  async *entries(): AsyncGenerator<Listed> {
    for await (const paths of this.files(join(this.#root, "data"))) {
      for (let start = 0; start < paths.length; start += TOGETHER) {
        for (const found of await Promise.all(paths.slice(start, start + TOGETHER).map(lookAt))) {
          if (typeof found === "object") yield found;
        }
      }
    }
  }

  /** The paths of all files that are named like entries, folder by folder. */
  async *files(data: string): AsyncGenerator<readonly string[]> {
    for (const outer of await foldersIn(data)) {
      for (const inner of await foldersIn(outer)) {
        yield (await namesIn(inner)).filter((name) => FILE_NAME.test(name)).map((name) => join(inner, name));
      }
    }
  }

  async #publish(path: string, parts: Pieces): Promise<void> {
    const temporary = this.temporary();
    try {
      const file = await open(temporary, "wx", 0o644);
      try {
        for await (const part of parts) await writeAll(file, part);
        if (this.#durable) await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw ioError(error, path);
    }
    await this.#move(temporary, path);
  }

  /** Takes the place of what is there, or is removed. */
  async #move(temporary: string, path: string): Promise<void> {
    try {
      for (let attempt = 1; !(await this.#renamed(temporary, path, attempt)); attempt++) {
        await this.#makeFolders(dirname(path));
      }
      await this.#sync(dirname(path));
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw ioError(error, path);
    }
  }

  /** false where the folder is new, or has been moved away by who cleared the namespace. */
  async #renamed(temporary: string, path: string, attempt: number): Promise<boolean> {
    try {
      await rename(temporary, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" && attempt < ATTEMPTS) return false;
      throw error;
    }
  }

  async #makeFolders(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (let above = dirname(folder); above.length >= this.#root.length; above = dirname(above)) {
      await this.#sync(above);
    }
  }

  /** What has been moved away meanwhile went with all that was in it. */
  async #sync(folder: string): Promise<void> {
    if (!this.#durable) return;
    await syncFolder(folder).catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
  }
}

/** Makes a folder, and those above it. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw ioError(error, folder);
  });
}

/** Sorted names; none where the folder is gone. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw ioError(error, folder);
  }
}

/** The text of a file; undefined where there is none. */
export async function textIn(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw ioError(error, path);
  }
}

function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ESTALE"].includes((error as NodeJS.ErrnoException).code ?? "");
}

function nameOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function ownOf<Found extends Listed>(
  key: string,
  path: string,
  found: Found | undefined | "damaged",
): Found | undefined {
  if (found === "damaged" || (found !== undefined && found.key !== key)) throw damaged(path, key);
  return found;
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  return (await namesIn(folder)).filter((name) => FOLDER_NAME.test(name)).map((name) => join(folder, name));
}
