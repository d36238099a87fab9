/** Which store a cache on a disk is: with a catalog on a local one, without where several hosts may share the folder. */

import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileSystem } from "../native/file-system.ts";
import type { Logger } from "../shared/logger.ts";
import { FileStore } from "../stores/files.ts";
import { LocalStore } from "../stores/local.ts";
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

/** Opens the store in the folder, and says once how entries are kept. Recorded settings are compared with what was given, not with defaults. */
export async function openDisk(
  path: string,
  resolved: { readonly options: ResolvedCacheOptions; readonly origins: readonly Origin[] },
  mode: ResolvedCacheOptions["mode"],
  logger: Logger,
): Promise<LocalStore | FileStore> {
  const { options, origins } = resolved;
  const { durability } = options;
  const keeping = await keepingOf(path, options.catalog, mode);
  announce(path, keeping, logger);
  if (keeping.kind === "files") return FileStore.open(join(path, FILES_FOLDER), { mode, durability });
  const given = (option: string): boolean =>
    origins.some((origin) => origin.option === option && origin.source !== "default");
  return LocalStore.open(path, {
    mode,
    reconfigure: options.reconfigure && mode === "read-write",
    maxMappings: options.maxMappings,
    maxCopies: options.maxCopies,
    ...(given("durability") && { durability }),
    ...(given("maxSize") && { maxSize: options.maxSize }),
    ...(given("maxEntries") && { maxEntries: options.maxEntries }),
    ...(given("eviction") && { eviction: options.eviction.name }),
  });
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
