/** Which store a cache on a disk is: with a catalog on a local one, without where several hosts may share the folder. */

import { access, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileSystem } from "../native/file-system.ts";
import { isQuiverError, QuiverError } from "../shared/errors.ts";
import type { Logger } from "../shared/logger.ts";
import { FileStore } from "../stores/files.ts";
import { LocalStore, type LocalStoreOptions } from "../stores/local.ts";
import type { Origin, ResolvedCacheOptions } from "./options.ts";

/** What lies where in the folder of a cache. */
export const CATALOG_MARK: string = join(".quiver", "format.json");
const FILES_FOLDER = ".quiver-files";
export const FILES_MARK: string = join(FILES_FOLDER, "files.json");

/** Folders of which has been said how they are kept: once in a process is enough. */
const announced = new Set<string>();

/** How entries are kept, and why. */
export interface Keeping {
  readonly kind: "catalog" | "files";
  readonly reason: string;
  /** Something that whoever runs the program should know. */
  readonly notable: boolean;
}

/** How a cache in the folder keeps its entries; looks at the folder and changes nothing. */
export async function keepingOf(
  path: string,
  catalog: ResolvedCacheOptions["catalog"],
  mode: ResolvedCacheOptions["mode"],
): Promise<Keeping> {
  const { name, network } = await fileSystem(await nearestFolder(path));
  const hosts = `its file system (${name}) may be shared by several hosts`;
  if (catalog === "always") {
    return network
      ? { kind: "catalog", reason: `asked for, although ${hosts}: only one may use it`, notable: true }
      : { kind: "catalog", reason: "asked for", notable: false };
  }
  if (catalog === "never") return { kind: "files", reason: "asked for", notable: false };
  const hasCatalog = await exists(join(path, CATALOG_MARK));
  if (await exists(join(path, FILES_MARK))) {
    return { kind: "files", reason: network ? hosts : "it was begun that way", notable: !network };
  }
  if (!network) return { kind: "catalog", reason: `its file system (${name}) is local`, notable: false };
  // Who only reads changes nothing for those who may have the catalog open.
  if (hasCatalog && mode === "read-only")
    return { kind: "catalog", reason: "it has one, to be read only", notable: true };
  const unused = hasCatalog ? "; the catalog that is there is not used" : "";
  return { kind: "files", reason: `${hosts}${unused}`, notable: true };
}

/** The folder of a cache, and what is known of it before it is opened. */
export interface DiskPlan {
  readonly path: string;
  readonly options: ResolvedCacheOptions;
  readonly origins: readonly Origin[];
  /** Defaults that a new cache is to record, as if they had been given. */
  readonly recorded: readonly string[];
  readonly logger: Logger;
}

/** Opens the store in the folder, and says once how entries are kept. */
export async function openDisk(
  plan: DiskPlan,
  mode: ResolvedCacheOptions["mode"],
): Promise<LocalStore | FileStore> {
  const { path, options, logger } = plan;
  const { durability } = options;
  await checkFolder(path, mode);
  const keeping = await keepingOf(path, options.catalog, mode);
  announce(path, keeping, logger);
  if (keeping.kind === "files") return FileStore.open(join(path, FILES_FOLDER), { mode, durability });
  return openWithCatalog(plan, mode);
}

/** What the store couldn't say as well: there is something else in place of the folder, or nothing to read. */
async function checkFolder(path: string, mode: ResolvedCacheOptions["mode"]): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() || (found === undefined && mode === "read-write")) return;
  if (found === undefined) {
    throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no cache in ${path}`, {
      path,
      hint: "A cache that is only read is not made where there is none.",
      fix: 'Correct the path, or open it with mode "read-write" first.',
    });
  }
  throw new QuiverError("ERR_QUIVER_IO", `${path} is not a folder`, {
    path,
    hint: "A cache is a folder, and something else has its name.",
    fix: "Choose another path, or move away what is there.",
  });
}

type Settings = Pick<LocalStoreOptions, "durability" | "maxSize" | "maxEntries" | "eviction">;

/**
 * Recorded settings are compared with, or changed to, what was given, never defaults. Those that a new cache is to record
 * are tried first; they can't be right for a cache that has others.
 */
async function openWithCatalog(plan: DiskPlan, mode: ResolvedCacheOptions["mode"]): Promise<LocalStore> {
  const { options, origins, recorded } = plan;
  const given = origins.filter(({ source }) => source !== "default").map(({ option }) => option);
  const isNew = mode === "read-only" ? given : [...given, ...recorded];
  try {
    return await openLocal(plan, mode, settingsIn(options, isNew));
  } catch (error) {
    if (!isQuiverError(error, "ERR_QUIVER_SETTINGS_DIFFER")) throw error;
    const settings = settingsIn(options, given);
    if (mode === "read-only" || !options.reconfigure) return openLocal(plan, mode, settings);
    const asItIs = await openLocal(plan, mode, {});
    const known = asItIs.describe().settings as Settings;
    await asItIs.close();
    return openLocal(plan, mode, { ...known, ...settings }, true);
  }
}

function settingsIn(options: ResolvedCacheOptions, names: readonly string[]): Settings {
  const { durability, maxSize, maxEntries, eviction } = options;
  const all = { durability, maxSize, maxEntries, eviction: eviction.name };
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}

function openLocal(
  { path, options }: DiskPlan,
  mode: ResolvedCacheOptions["mode"],
  settings: Settings,
  reconfigure = false,
): Promise<LocalStore> {
  const { maxMappings, maxCopies } = options;
  return LocalStore.open(path, { ...settings, mode, reconfigure, maxMappings, maxCopies });
}

function announce(path: string, { kind, reason, notable }: Keeping, logger: Logger): void {
  if (announced.has(path)) return;
  announced.add(path);
  const kept = kind === "files" ? "in one file an entry, without a catalog" : "in a catalog";
  const message = `${path}: entries are kept ${kept}: ${reason}`;
  if (notable) logger.warn(message);
  else logger.info(message);
}

/** The folder itself, or the first one above it that is there. */
async function nearestFolder(folder: string): Promise<string> {
  return (await exists(folder)) ? folder : nearestFolder(dirname(folder));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => dirname(path) === path,
  );
}
