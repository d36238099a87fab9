/** Where vector caches lie, what they may be called, and which folders are some. */

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { checkPath, shown } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { ioError } from "../shared/file-system.ts";

/** Where caches are kept that are given no other root. */
export const DEFAULT_ROOT = ".vmcache";

/** The absolute path of the folder that options name. Throws ERR_QUIVER_BAD_OPTION. */
export function rootOf({ root = DEFAULT_ROOT }: { readonly root?: string }): string {
  checkPath(root, "root");
  return resolve(root);
}

/** Names of files in a cache's folder. */
export const METADATA = "metadata.json";
export const DIGESTS = "text_digests.bin";

const TEMPORARY = ".tmp_";
const LONGEST_NAME = 200;

/** A name as it is, when a folder can have it. Throws ERR_QUIVER_BAD_OPTION. */
export function checkName(name: unknown): string {
  const fits =
    typeof name === "string" &&
    name !== "" &&
    name !== "." &&
    name !== ".." &&
    !/[/\\\0]/.test(name) &&
    !name.startsWith(TEMPORARY) &&
    // Room is left for what temporary folders add; a folder's name has 255 bytes at most.
    Buffer.byteLength(name) <= LONGEST_NAME;
  if (fits) return name;
  throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${shown(name)} can't name a vector cache`, {
    hint: `A name is one folder's name of up to ${LONGEST_NAME} bytes, without separators and not beginning with "${TEMPORARY}".`,
    fix: "Choose another name.",
  });
}

/** A cache on the disk. */
export interface Folder {
  readonly name: string;
  readonly path: string;
  /** Where state.json lies: the folder itself, or `dataset/` in it. */
  readonly data: string;
}

/**
 * Finds a cache by its name under a root, or by the path of its folder. Throws ERR_QUIVER_NOT_FOUND, and
 * ERR_QUIVER_CORRUPT for a folder without its parts.
 */
export function findFolder(nameOrPath: string, root: string): Folder {
  checkPath(nameOrPath, "the name or path of a vector cache");
  const isPath = /[/\\]/.test(nameOrPath);
  const path = isPath ? resolve(nameOrPath) : join(root, checkName(nameOrPath));
  const name = basename(path);
  if (!existsSync(path)) {
    throw new QuiverError(
      "ERR_QUIVER_NOT_FOUND",
      `vector cache "${name}" not found in ${resolve(path, "..")}`,
      {
        path,
        hint: "Nothing was created there under this name.",
        fix: `Create it: await VectorCache.create({ name: ${JSON.stringify(name)}, texts, vectorizer, root: ${JSON.stringify(resolve(path, ".."))} })`,
      },
    );
  }
  if (existsSync(join(path, "dataset_dict.json"))) {
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `${path} is a DatasetDict`, {
      path,
      hint: "It holds several splits, and a vector cache is one dataset.",
      fix: "Load one of its splits by its path.",
    });
  }
  const data = [path, join(path, "dataset")].find((folder) => existsSync(join(folder, "state.json")));
  if (data !== undefined) return { name, path, data };
  throw new QuiverError(
    "ERR_QUIVER_CORRUPT",
    `the vector cache "${name}" is corrupted: it has no state.json`,
    {
      path,
      hint: "Its creation was cut short, or the folder is something else.",
      fix: "Delete the folder and create the cache again.",
    },
  );
}

/** Names of the caches under a root, sorted; none where there is no root. Temporary folders are never among them. */
export async function listFolders(root: string): Promise<string[]> {
  const isCache = (name: string): boolean =>
    [join(root, name), join(root, name, "dataset")].some((folder) => existsSync(join(folder, "state.json")));
  return (await foldersIn(root)).filter((name) => !name.startsWith(TEMPORARY) && isCache(name)).sort();
}

/** Names of caches that are being made, or whose making was interrupted and can go on; sorted. */
export async function listUnfinished(root: string): Promise<string[]> {
  const temporary = new RegExp(`^\\${TEMPORARY}(.+)\\.\\d+-[0-9a-f]{16}$`);
  const names = (await foldersIn(root)).flatMap((folder) => {
    const name = temporary.exec(folder)?.[1];
    return name !== undefined && existsSync(join(root, folder, "journal")) ? [name] : [];
  });
  return [...new Set(names)].sort();
}

async function foldersIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw ioError(error, root);
  });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Removes a cache; nobody sees a part of one. Whether there was one. */
export async function removeFolder(name: string, root: string): Promise<boolean> {
  const path = join(root, checkName(name));
  const aside = join(root, `${TEMPORARY}${name}.${process.pid}-${randomBytes(8).toString("hex")}`);
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw ioError(error, path);
  }
  await rm(aside, { recursive: true, force: true });
  return true;
}
