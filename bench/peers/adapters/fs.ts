/** Plain files: written beside and renamed, so that a crash leaves the old or the new one. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  createWriteStream,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import type { Blobs, Durability, Memo, Peer, Records, Streams, Table, Tables } from "../contract.ts";
import { arrayTable } from "./array-table.ts";

const DURABILITY = {
  full: "write, fsync, rename; the folder is not synced",
  process: "write, rename",
} as const;

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

/** Writes `value` to `path` through a file beside it. */
function replaceSync(path: string, value: Uint8Array, synced: boolean): void {
  const beside = `${path}.tmp`;
  const file = openSync(beside, "w");
  writeSync(file, value);
  if (synced) fsyncSync(file);
  closeSync(file);
  renameSync(beside, path);
}

let turn = 0;

async function replace(path: string, value: Uint8Array | string, synced: boolean): Promise<void> {
  const beside = `${path}.${turn++}.tmp`;
  const file = await open(beside, "w");
  try {
    await writeFile(file, value);
    if (synced) await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

function folderOf(...parts: string[]): string {
  const folder = join(...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function blobs(home: string, durability: Durability, digested: boolean): Blobs {
  const folder = folderOf(home, durability);
  const synced = durability === "full";
  const pathOf = (key: string): string => join(folder, key);
  const digest = (value: Uint8Array): void => {
    if (digested) createHash("sha256").update(value).digest();
  };
  const set = (key: string, value: Uint8Array): Promise<void> => {
    digest(value);
    return replace(pathOf(key), value, synced);
  };
  return {
    set,
    setSync: (key, value) => {
      digest(value);
      replaceSync(pathOf(key), value, synced);
    },
    setMany: (entries) => Promise.all(entries.map(([key, value]) => set(key, value))),
    get: async (key) => {
      try {
        return await readFile(pathOf(key));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    getSync: (key) => {
      try {
        return readFileSync(pathOf(key));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    delete: (key) => rm(pathOf(key), { force: true }),
    count: (prefix) => readdirSync(folder).filter((name) => name.startsWith(prefix)).length,
    close: () => undefined,
  };
}

function records(home: string): Records {
  const folder = folderOf(home, "records");
  return {
    set: (key, value, seconds) => {
      const expires = Date.now() + seconds * 1000;
      return replace(join(folder, key), JSON.stringify({ expires, value }), true);
    },
    get: async (key) => {
      try {
        const { expires, value } = JSON.parse(await readFile(join(folder, key), "utf8"));
        return expires > Date.now() ? value : undefined;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    close: () => undefined,
  };
}

/** A raw file of numbers, read whole before anything of it can be seen. */
function tables(home: string): Tables {
  const folder = folderOf(home, "tables");
  return {
    store: (name, values) =>
      replace(join(folder, name), new Uint8Array(values.buffer, values.byteOffset, values.byteLength), true),
    open: (name, columns): Table => {
      const file = readFileSync(join(folder, name));
      const all = new Float32Array(file.buffer, file.byteOffset, file.byteLength / 4);
      return arrayTable(all, columns);
    },
    close: () => undefined,
  };
}

function streams(home: string): Streams {
  const folder = folderOf(home, "streams");
  return {
    write: async (key, chunks) => {
      const hash = createHash("sha256");
      const beside = join(folder, `${key}.tmp`);
      const file = createWriteStream(beside, { flush: true, highWaterMark: 4 * 1024 * 1024 });
      for await (const chunk of chunks) {
        hash.update(chunk);
        if (!file.write(chunk)) await once(file, "drain");
      }
      file.end();
      await finished(file);
      await rename(beside, join(folder, key));
      return hash.digest("hex");
    },
    close: () => rmSync(folder, { recursive: true }),
  };
}

function memo(home: string, compute: (argument: string) => Promise<object>): Memo {
  const kept = records(home);
  return {
    call: async (argument) => {
      const found = await kept.get(argument);
      if (found !== undefined) return found;
      const value = await compute(argument);
      await kept.set(argument, value, 7_200);
      return value;
    },
    close: () => undefined,
  };
}

export const fs: Peer = {
  name: "fs",
  layout: "a file an entry",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, false),
  records,
  tables,
  streams,
  memo,
};

/** With a SHA-256 of every value, as whoever wants to notice damage writes it. */
export const fsDigested: Peer = {
  name: "fs, digested",
  layout: "a file an entry",
  durability: DURABILITY,
  blobs: (folder, durability) => blobs(folder, durability, true),
};
