/** SQLite in this process, in WAL mode: synchronous, one transaction a set or one for a batch. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Blobs, Durability, Peer, Records } from "../contract.ts";

function connect(folder: string, name: string, durability: Durability): Database.Database {
  mkdirSync(folder, { recursive: true });
  const database = new Database(join(folder, `${name}.sqlite`), { timeout: 30_000 });
  database.pragma("journal_mode = WAL");
  database.pragma(`synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`);
  database.pragma("mmap_size = 1073741824");
  return database;
}

function blobs(folder: string, durability: Durability): Blobs {
  const database = connect(folder, durability, durability);
  database.exec("CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID");
  const put = database.prepare("INSERT OR REPLACE INTO blobs VALUES (?, ?)");
  const find = database.prepare<[string], Buffer>("SELECT value FROM blobs WHERE key = ?").pluck();
  const remove = database.prepare("DELETE FROM blobs WHERE key = ?");
  const among = database.prepare<[string, string], string>(
    "SELECT key FROM blobs WHERE key >= ? AND key < ? ORDER BY key",
  );
  const putAll = database.transaction((entries: readonly (readonly [string, Uint8Array])[]) => {
    for (const [key, value] of entries) put.run(key, value);
  });
  const get = (key: string): Uint8Array | undefined => find.get(key);
  const set = (key: string, value: Uint8Array): void => {
    put.run(key, value);
  };
  return {
    set,
    setSync: set,
    setMany: (entries) => putAll.immediate(entries),
    get,
    getSync: get,
    delete: (key) => remove.run(key),
    count: (prefix) => {
      let count = 0;
      for (const _ of among.iterate(prefix, `${prefix}\uffff`)) count++;
      return count;
    },
    close: () => database.close(),
  };
}

function records(folder: string): Records {
  const database = connect(folder, "records", "full");
  database.exec("CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, expires REAL, value TEXT)");
  const put = database.prepare("INSERT OR REPLACE INTO records VALUES (?, ?, ?)");
  const find = database
    .prepare<[string, number], string>("SELECT value FROM records WHERE key = ? AND expires > ?")
    .pluck();
  return {
    set: (key, value, seconds) => put.run(key, Date.now() + seconds * 1000, JSON.stringify(value)),
    get: (key) => {
      const text = find.get(key, Date.now());
      return text === undefined ? undefined : JSON.parse(text);
    },
    close: () => database.close(),
  };
}

export const betterSqlite3: Peer = {
  name: "better-sqlite3",
  package: "better-sqlite3",
  layout: "packed",
  durability: { full: "WAL, synchronous FULL", process: "WAL, synchronous NORMAL" },
  blobs,
  records,
};
