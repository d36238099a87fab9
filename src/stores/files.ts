/** The store for folders that several hosts share: one self-describing file an entry, and no catalog. */

import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkPath, notConstructed } from "../shared/arguments.ts";
import { now } from "../shared/clock.ts";
import { QuiverError } from "../shared/errors.ts";
import { ioError } from "../shared/file-system.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import { EntryFolder, makeFolder, namesIn, textIn } from "./files/folder.ts";
import { FileNamespace } from "./files/namespace.ts";
import { ListedScan } from "./listed-scan.ts";
import { freshId } from "./record.ts";
import { completeSettings, parseSettings, reconcileSettings } from "./settings.ts";
import type {
  EvictionScan,
  NamespaceSettings,
  Store,
  StoreCapabilities,
  StoreNamespace,
  Usage,
} from "./store.ts";
import { sumUsage } from "./usage.ts";

/** Options of `FileStore.open`. */
export interface FileStoreOptions {
  /** What acknowledged writes survive: "full" power cuts, as far as the server behind the folder keeps its word; "process" the death of processes. Default: "full". */
  readonly durability?: "full" | "process";
  /** "read-only" writes nothing, times of use included. Default: "read-write". */
  readonly mode?: "read-write" | "read-only";
  /** Default: "files". */
  readonly name?: string;
}

const OPTIONS: OptionNames<FileStoreOptions> = { durability: true, mode: true, name: true };

/** Version of the format, in `files.json`. */
const LAYOUT = 1;
const MARK = "files.json";
const SETTINGS = "settings.json";

/**
 * What holds, on any file system with O_EXCL and atomic renames: readers find an entry as it was or as it is, never torn
 * (each value is compared with its digest); a lost lock costs a second computation and no more. What doesn't: another
 * host may see an entry as it was for as long as the file system caches what a folder holds (NFS: `acdirmax`, 60 s by
 * default), so that no decoded values are held in memory; usage is what the last walk over all files counted, and limits
 * may be passed by what other processes have written since; times of use are exact to a minute, accesses aren't counted.
 * Listing, clearing by tag and expiry read the head of every file.
 */
export class FileStore implements Store {
  readonly name: string;
  readonly capabilities: StoreCapabilities = {
    sync: false,
    persistent: true,
    shared: true,
    files: false,
    mapped: false,
    versions: false,
    stale: true,
    keeps: true,
  };

  readonly #path: string;
  readonly #durable: boolean;
  readonly #readOnly: boolean;
  readonly #namespaces = new Map<string, Promise<FileNamespace>>();
  readonly #opened = new Map<string, FileNamespace>();
  /** When an eviction last looked at everything; what was used after that counts as visited. */
  #scannedAt = 0;
  #closing: Promise<void> | undefined;

  private constructor(path: string, options: FileStoreOptions) {
    if (options === undefined) throw notConstructed("FileStore", "FileStore.open(path)");
    this.#path = path;
    this.name = options.name ?? "files";
    this.#durable = (options.durability ?? "full") === "full";
    this.#readOnly = options.mode === "read-only";
  }

  /**
   * Opens the store in the folder, making it where there is none. Rejects with ERR_QUIVER_FORMAT_VERSION where another
   * version has made it, and with ERR_QUIVER_NOT_FOUND where there is none to read.
   */
  static async open(path: string, options: FileStoreOptions = {}): Promise<FileStore> {
    checkPath(path);
    checkOptions(options, OPTIONS);
    const store = new FileStore(path, options);
    await store.#prepare();
    return store;
  }

  async open(
    namespace: string,
    settings: Partial<NamespaceSettings>,
    options: { reconfigure?: boolean } = {},
  ): Promise<StoreNamespace> {
    this.#checkOpen();
    const folder = this.#folderOf(namespace);
    const recorded = await this.#recorded(folder, settings);
    const reconciled = reconcileSettings(namespace, recorded, settings, options.reconfigure ?? false);
    if (reconciled !== recorded) await this.#record(folder, reconciled);
    const making = this.#namespaces.get(namespace) ?? this.#make(namespace, folder, reconciled);
    this.#namespaces.set(namespace, making);
    const opened = await making;
    opened.settings = reconciled;
    return opened;
  }

  async names(): Promise<readonly string[]> {
    this.#checkOpen();
    const names: string[] = [];
    for (const name of await namesIn(this.#path)) {
      if ((await textIn(join(this.#path, name, SETTINGS))) !== undefined) names.push(namespaceOf(name));
    }
    return names.sort();
  }

  /** Of the namespaces that are open here. */
  usage(): Usage {
    return sumUsage([...this.#opened.values()].map((namespace) => namespace.usage()));
  }

  /** Of the namespaces named, or of all that are open here. */
  async evictionScan(options: {
    namespaces?: readonly string[];
    goal: { allocated: number; entries: number };
  }): Promise<EvictionScan> {
    this.#checkOpen();
    const names = options.namespaces ?? [...this.#opened.keys()];
    const namespaces = names.map((name) => this.#opened.get(name)).filter((found) => found !== undefined);
    const scan = new ListedScan(namespaces, options.goal, this.#scannedAt);
    this.#scannedAt = now();
    return scan;
  }

  close(): Promise<void> {
    this.#closing ??= this.#noteUsages();
    return this.#closing;
  }

  async #prepare(): Promise<void> {
    const path = join(this.#path, MARK);
    const text = await textIn(path);
    if (text === undefined && this.#readOnly) {
      throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no cache in ${this.#path}`, { path });
    }
    if (text === undefined) {
      await makeFolder(this.#path);
      // Whole or not at all; whoever else makes it writes the same.
      const temporary = join(this.#path, `.${freshId()}`);
      await writeFile(temporary, `${JSON.stringify({ layout: LAYOUT })}\n`)
        .then(() => rename(temporary, path))
        .catch((error: unknown) => {
          throw ioError(error, path);
        });
    } else if (layoutOf(text) !== LAYOUT) {
      const message = `${path} names another version than ${LAYOUT}`;
      throw new QuiverError("ERR_QUIVER_FORMAT_VERSION", message, { path, expected: LAYOUT, found: text });
    }
  }

  /** The settings that are recorded, which are those given where there were none. */
  async #recorded(folder: EntryFolder, given: Partial<NamespaceSettings>): Promise<NamespaceSettings> {
    const recorded = parseSettings((await folder.note(SETTINGS)) ?? "");
    if (recorded !== undefined) return recorded;
    const settings = completeSettings(given);
    if (this.#readOnly) return settings;
    await folder.prepare();
    await this.#record(folder, settings);
    // Of two that make it at once, one was the later.
    return parseSettings((await folder.note(SETTINGS)) ?? "") ?? settings;
  }

  async #record(folder: EntryFolder, settings: NamespaceSettings): Promise<void> {
    if (!this.#readOnly) await folder.writeNote(SETTINGS, JSON.stringify(settings));
  }

  async #make(name: string, folder: EntryFolder, settings: NamespaceSettings): Promise<FileNamespace> {
    const checkOpen = (): void => this.#checkOpen();
    const made = new FileNamespace({ name, settings, folder, readOnly: this.#readOnly, checkOpen });
    if (!this.#readOnly) await folder.prepare();
    await made.learnUsage();
    this.#opened.set(name, made);
    return made;
  }

  async #noteUsages(): Promise<void> {
    for (const namespace of this.#opened.values()) await namespace.noteUsage();
  }

  #folderOf(namespace: string): EntryFolder {
    return new EntryFolder(join(this.#path, folderNameOf(namespace)), this.#durable);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) {
      throw new QuiverError("ERR_QUIVER_CLOSED", `the store "${this.name}" is closed`);
    }
  }
}

/** Names that differ in case only are different folders also where the file system knows no case. */
function folderNameOf(namespace: string): string {
  return namespace.replace(/[A-Z]/g, (letter) => `+${letter.toLowerCase()}`);
}

function namespaceOf(folderName: string): string {
  return folderName.replace(/\+([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function layoutOf(text: string): unknown {
  try {
    return JSON.parse(text)?.layout;
  } catch {
    return undefined;
  }
}
