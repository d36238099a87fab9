/** What a peer is, and what a process that runs one is asked and answers. */

/** "full": an acknowledged write survives a power cut. "process": it survives the end of the process. */
export type Durability = "full" | "process";

export type Layout = "packed" | "a file an entry" | "one file" | "memory" | "columns";

export type Awaitable<T> = T | Promise<T>;

/** Bytes by key. A peer without a synchronous form leaves it out; one without batches loops. */
export interface Blobs {
  set(key: string, value: Uint8Array): Awaitable<unknown>;
  setSync?(key: string, value: Uint8Array): void;
  /** As few commits as the peer can make of it. */
  setMany(entries: readonly Entry[]): Awaitable<unknown>;
  get(key: string): Awaitable<Uint8Array | undefined>;
  getSync?(key: string): Uint8Array | undefined;
  delete(key: string): Awaitable<unknown>;
  /** How many keys begin with `prefix`; all of them are visited. Left out where the peer can't list. */
  count?(prefix: string): Awaitable<number>;
  close(): Awaitable<unknown>;
}

export type Entry = readonly [key: string, value: Uint8Array];

/** Plain values with a time to live, as the peer itself keeps such. */
export interface Records {
  set(key: string, value: object, seconds: number): Awaitable<unknown>;
  get(key: string): Awaitable<unknown>;
  close(): Awaitable<unknown>;
}

/** Stored matrices of float32. */
export interface Tables {
  /** Durable when it resolves, where the peer can. */
  store(name: string, values: Float32Array, columns: number): Awaitable<unknown>;
  open(name: string, columns: number): Awaitable<Table>;
  close(): Awaitable<unknown>;
}

/** What comes back may be a view; nobody writes to it. */
export interface Table {
  gather(rows: Uint32Array): Awaitable<Float32Array>;
  /** The same into memory that is there, where the peer has such a form. */
  gatherInto?(rows: Uint32Array, out: Float32Array): Float32Array;
  slice(start: number, end: number): Awaitable<Float32Array>;
  /** All of it, ready to be read from first to last. */
  all(): Awaitable<Float32Array>;
  /** Of all elements, where the peer adds them up itself. */
  sum?(): number;
  /** Compares all bytes with their checksums, where the peer keeps any. */
  verify?(): Awaitable<unknown>;
}

export interface Streams {
  /** Stores what `chunks` bring under a digest; resolves when it is as durable as the peer makes it. */
  write(key: string, chunks: AsyncIterable<Uint8Array>): Promise<unknown>;
  close(): Awaitable<unknown>;
}

/** A function whose results are kept: calls `compute` on a miss. */
export interface Memo {
  call(argument: string): Promise<unknown>;
  close(): Awaitable<unknown>;
}

/** One peer, in one of its configurations. */
export interface Peer {
  readonly name: string;
  /** The npm package whose version is recorded; undefined for what Node itself has. */
  readonly package?: string;
  readonly layout: Layout;
  /** How each promise is kept; left out where it can't be. */
  readonly durability: Readonly<Partial<Record<Durability, string>>>;
  blobs?(folder: string, durability: Durability): Awaitable<Blobs>;
  records?(folder: string): Awaitable<Records>;
  tables?(folder: string): Awaitable<Tables>;
  streams?(folder: string): Awaitable<Streams>;
  memo?(folder: string, compute: (argument: string) => Promise<object>): Awaitable<Memo>;
}

/** Where a figure stands: a table and a column of it. Rates are better when higher, all else when lower. */
export interface Place {
  readonly table: string;
  readonly column: string;
  readonly unit: Unit;
}

export type Unit = "/s" | "MB/s" | "ms" | "µs" | "s" | "bytes" | "wrong";

/** One thing that a process does; `op` says which, the rest with what. It crosses into other languages as JSON. */
export interface Step {
  readonly op: string;
  readonly place?: Place;
  readonly durability?: Durability;
  /** Bytes of a value. */
  readonly size?: number;
  /** How many keys, values or rows. */
  readonly count?: number;
  /** 0: the synchronous form, where the peer has one. */
  readonly inFlight?: number;
  /** Milliseconds to measure for. */
  readonly time?: number;
  readonly name?: string;
  readonly rows?: number;
  readonly columns?: number;
  /** Share of operations that write. */
  readonly writes?: number;
  /** All files of the peer are read before, so that no figure is that of the disk. */
  readonly inMemory?: boolean;
}

/** All that a process needs to know. */
export interface Job {
  readonly workload: string;
  readonly peer: string;
  readonly folder: string;
  readonly round: number;
  readonly steps: readonly Step[];
}

export interface Figure extends Place {
  readonly value: number;
}

/** What a step gave: figures, and a digest of what it read, which must be the same for every peer. */
export interface Outcome {
  readonly figures: readonly Figure[];
  readonly seen: readonly string[];
}

/** What a process prints as its last line. */
export interface Answer extends Outcome {
  readonly layout: Layout;
  readonly durability: Peer["durability"];
  /** Of its package; empty for what the language itself has. */
  readonly version: string;
}
