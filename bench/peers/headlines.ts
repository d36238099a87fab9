/** What the short table in README.md and its plot show. */

import type { Headline } from "./plot.ts";

/** Peers with a column and a colour there. */
export const HEADLINE_PEERS: readonly string[] = ["lmdb", "better-sqlite3", "cacache", "fs", "numpy memmap"];

const blob = (title: string, table: string, column: string): Headline => ({
  title,
  workload: "blobs",
  table,
  column,
});

const other = (title: string, workload: string, table: string, column: string): Headline => ({
  title,
  workload,
  table,
  column,
});

export const HEADLINES: readonly Headline[] = [
  blob("get of 1 KB", "get, the fastest form", "1 KB"),
  blob("get of 1 MB", "get, the fastest form", "1 MB"),
  other("first get of 10 KB in a process", "first", "get, first touch in a new process", "10 KB"),
  other("first get of 1 MB in a process", "first", "get, first touch in a new process", "1 MB"),
  blob("get of a missing key", "get of a missing key", "1 KB"),
  blob("durable set of 10 KB, 64 in flight", "set, durable, 64 in flight", "10 KB"),
  blob("durable set of 10 KB, one at a time", "set, durable, one at a time", "10 KB"),
  blob("unsynced set of 10 KB, 64 in flight", "set, not synced, 64 in flight", "10 KB"),
  other("record of 10 to 15 KB, get", "records", "records", "get, awaited"),
  other("first row of a matrix of 64 MB, after others", "tables", "open", "64 MB, first row"),
  other("first row of a matrix of 1 GB, after others", "tables", "open", "1 GB, first row"),
  other("1,000 random rows of 200,000", "tables", "200,000 embeddings of 384", "gather of 1,000 rows"),
  other("store a matrix of 1 GB, durable", "tables", "store, durable", "1 GB"),
  other("store a stream of 1 GB", "streams", "store a stream", "1 GB"),
  other("four processes, 95 % reads, durable", "processes", "durable writes", "95 % reads"),
  other("four processes, 50 % reads, durable", "processes", "durable writes", "50 % reads"),
  other("load a million entries", "many", "load, entries a second", "1 million"),
  other("get among a million entries", "many", "get at random", "1 million"),
];
