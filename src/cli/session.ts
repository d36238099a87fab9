/** Opening the cache that a command is about, and the namespaces in it. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Cache } from "../cache/cache.ts";
import { defaultPath, expandHome } from "../cache/config-sources.ts";
import { CATALOG_MARK, FILES_MARK } from "../cache/disk.ts";
import type { Namespace } from "../cache/namespace.ts";
import { QuiverError } from "../shared/errors.ts";
import { LocalStore } from "../stores/local.ts";
import type { CommonOptions } from "./cli.ts";

/** "read" and "write" need a cache that is there; "create" makes one where it is absent. Only "read" leaves no trace. */
export type Access = "read" | "write" | "create";

/** The directory that a command is about: its option, else QUIVER_PATH, else the user's cache folder. */
export function rootOf({ cache }: CommonOptions): string {
  return expandHome(cache ?? process.env["QUIVER_PATH"] ?? defaultPath(process.env));
}

/**
 * Opens the cache for one command and closes it afterwards.
 * Rejects with ERR_QUIVER_NOT_FOUND where there must be one and is none: a mistyped path must not become a cache.
 */
export async function withCache<T>(
  options: CommonOptions,
  access: Access,
  use: (cache: Cache) => Promise<T>,
): Promise<T> {
  if (access !== "create") requireCache(rootOf(options));
  const cache = await Cache.open(options.cache, access === "read" ? { mode: "read-only" } : {});
  try {
    return await use(cache);
  } finally {
    await cache.close();
  }
}

/** The same for work that only the store on the local disk has. */
export async function withLocalStore<T>(
  options: CommonOptions,
  access: "read" | "write",
  use: (store: LocalStore) => Promise<T>,
): Promise<T> {
  const root = rootOf(options);
  requireCache(root);
  if (!existsSync(join(root, CATALOG_MARK)) && existsSync(join(root, FILES_MARK))) {
    const message = `the cache in ${root} has no catalog`;
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", message, {
      path: root,
      hint: "It keeps one self-describing file an entry, for folders that several hosts share.",
      fix: "Nothing there needs compaction or repair; `quiver stats` counts it, and a copy of the folder is a backup.",
    });
  }
  const store = await LocalStore.open(root, access === "read" ? { mode: "read-only" } : {});
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function requireCache(root: string): void {
  if (isCache(root)) return;
  throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no cache in ${root}`, {
    path: root,
    hint: "Neither Quiver nor another program has kept a cache there.",
    fix: "Name its directory with --cache or QUIVER_PATH; `quiver set` makes one.",
  });
}

/** Our own mark, or a folder with the index that other programs keep. */
function isCache(root: string): boolean {
  if (existsSync(join(root, CATALOG_MARK)) || existsSync(join(root, FILES_MARK))) return true;
  try {
    return readdirSync(root).some((name) => existsSync(join(root, name, "index.json")));
  } catch {
    return false;
  }
}

/** A namespace that is there already. Rejects with ERR_QUIVER_NOT_FOUND, because opening one makes it. */
export async function existingNamespace(cache: Cache, name: string): Promise<Namespace> {
  const names = await cache.namespaces();
  if (names.includes(name)) return cache.namespace(name);
  const known = names.length > 0 ? `There are ${names.join(", ")}.` : "The cache is empty.";
  throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no namespace "${name}"`, { hint: known });
}

/** The error for a key that isn't there. */
export function missing(namespace: string, key: string): QuiverError {
  return new QuiverError("ERR_QUIVER_NOT_FOUND", `there is nothing under "${key}" in "${namespace}"`, {
    key,
    fix: `List the keys with \`quiver ls ${namespace}\`.`,
  });
}
