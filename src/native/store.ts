/**
 * The add-on's store as TypeScript sees it: numbered requests become promises, and failures become QuiverErrors
 * with the key and path they concern.
 */

import { isQuiverErrorCode, QuiverError } from "../shared/errors.ts";
import { arrayTooLarge } from "../shared/largest-array.ts";
import { addon } from "./addon.ts";
import type { NativeStore, NativeWriter } from "./generated.ts";
import { type PackedPut, PutChunk } from "./put-chunk.ts";

export type {
  NativeColumns,
  NativeFlight,
  NativeScan,
  NativeStore,
  NativeUsage,
  NativeWriter,
  ValueCheck,
} from "./generated.ts";

/** What the add-on says of a failure, as JSON in the message. */
interface Failure {
  readonly code: string;
  readonly message: string;
  readonly key?: string;
  readonly path?: string;
}

/** Node's own refusal of memory that the add-on hands it. */
const NODES_TOO_LARGE = "ERR_BUFFER_TOO_LARGE";

/** The error that users catch for one of the add-on's store; anything else passes as it is. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof QuiverError) return error;
  const code = (error as { code?: unknown }).code;
  if (code === NODES_TOO_LARGE) {
    return arrayTooLarge(
      "the value is larger than an array of bytes",
      "Read it in pieces, with namespace.createReadStream().",
    );
  }
  if (!isQuiverErrorCode(code)) return error;
  return error.message.startsWith("{")
    ? asQuiverError(JSON.parse(error.message))
    : new QuiverError(code, error.message);
}

/** Refusals of the operating system, which name the call and not the file. */
const OF_THE_SYSTEM: ReadonlySet<string> = new Set([
  "ERR_QUIVER_IO",
  "ERR_QUIVER_PERMISSION",
  "ERR_QUIVER_READ_ONLY",
  "ERR_QUIVER_DISK_FULL",
]);

function asQuiverError({ code, message, key, path }: Failure): QuiverError {
  const isUnnamed = path !== undefined && OF_THE_SYSTEM.has(code) && !message.includes(path);
  const told = isUnnamed ? `${path}: ${message}` : message;
  return new QuiverError(isQuiverErrorCode(code) ? code : "ERR_QUIVER_INTERNAL", told, {
    ...(key !== undefined && { key }),
    ...(path !== undefined && { path }),
  });
}

/** Calls into the add-on, with its failures translated. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** The same for calls that answer with a promise. */
export async function translatedAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** What the add-on says of a request: its number, what it brings or null, and how it failed. */
type Completion = readonly [id: number, answer: unknown, failure?: Failure];

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: unknown): void;
  readonly read: ((answer: unknown) => unknown) | undefined;
  readonly ended: (() => void) | undefined;
}

/** What the add-on answers for one of the values of a chunk: when its entry was made, all facts of it, or how it failed. */
type PutAnswer = number | { readonly failure?: Failure };

/** Far beyond any wait; the timer only keeps the process alive. */
const NEVER = 0x7fff_ffff;

function doNothing(): void {}

/**
 * Requests that are under way. Those sent in one turn of the event loop are committed together, and their answers
 * arrive in batches; as long as one is awaited, the process stays alive.
 */
export class Requests {
  readonly #store: NativeStore;
  /**
   * By their numbers, which are used again. A map that comes and goes this fast is made anew every few requests, and
   * each old one that has grown old keeps what the next one held, until all memory is collected.
   */
  readonly #waiting: (Waiting | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #chunk = new PutChunk();
  /** Who waits for the values in the chunk, in their order. */
  #gathered: Waiting[] = [];
  #flushScheduled = false;
  readonly #alive = setInterval(doNothing, NEVER).unref();

  constructor(store: NativeStore) {
    this.#store = store;
    store.listen((answers) => this.#settle(JSON.parse(answers)));
  }

  /**
   * Sends a request under a free number; resolves to what `read` makes of its answer, null for nothing. `ended` is
   * called before, in whatever way it ends.
   */
  send<T>(submit: (id: number) => void, read?: (answer: unknown) => T, ended?: () => void): Promise<T> {
    // Requests are answered in the order in which they were sent, and take effect so.
    this.handOver();
    return this.#begin(submit, read, ended);
  }

  /** The same for a packed value. It waits here for those that follow it in this turn of the event loop. */
  put<T>(put: PackedPut, read: (answer: unknown) => T, ended?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#gather(put, { resolve: resolve as (answer: unknown) => void, reject, read, ended });
    });
  }

  /** The same for several that are given one by one, with one promise for all. */
  together(): Gathering {
    return new Gathering((put, waiting) => this.#gather(put, waiting));
  }

  #gather(put: PackedPut, waiting: Waiting): void {
    if (!this.#chunk.add(put)) {
      this.handOver();
      this.#chunk.add(put);
    }
    this.#gathered.push(waiting);
    this.#scheduleFlush();
  }

  /** Hands over what waits here. To be called before what has to come after it and is no request. */
  handOver(): void {
    if (this.#chunk.isEmpty) return;
    const bytes = this.#chunk.take();
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#enter((id) => this.#store.putMany(id, bytes), {
      resolve: (answers) => settleAll(gathered, answers as PutAnswer | readonly PutAnswer[]),
      reject: (error) => {
        for (const waiting of gathered) fail(waiting, error);
      },
      read: undefined,
      ended: undefined,
    });
  }

  #begin<T>(
    submit: (id: number) => void,
    read: ((answer: unknown) => T) | undefined,
    ended: (() => void) | undefined,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#enter(submit, { resolve: resolve as (answer: unknown) => void, reject, read, ended });
      this.#scheduleFlush();
    });
  }

  /** Submits a request under a free number. */
  #enter(submit: (id: number) => void, waiting: Waiting): void {
    if (this.#isIdle()) this.#alive.ref();
    const id = this.#free.pop() ?? this.#waiting.length;
    this.#waiting[id] = waiting;
    try {
      submit(id);
    } catch (error) {
      this.#take(id);
      fail(waiting, asStoreError(error));
    }
  }

  /** Has what is sent in this turn taken up at its end. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.handOver();
      const answers = this.#store.flush();
      if (answers !== null) this.#settle(JSON.parse(answers));
    });
  }

  #settle(completions: readonly Completion[]): void {
    for (const [id, answer, failure] of completions) {
      const waiting = this.#take(id);
      if (waiting === undefined) continue;
      if (failure === undefined) succeed(waiting, answer);
      else fail(waiting, asQuiverError(failure));
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting[id];
    if (waiting === undefined) return undefined;
    this.#waiting[id] = undefined;
    this.#free.push(id);
    if (this.#isIdle()) this.#alive.unref();
    return waiting;
  }

  #isIdle(): boolean {
    return this.#free.length === this.#waiting.length;
  }
}

/** Packed values that one caller waits for. */
export class Gathering {
  readonly #gather: (put: PackedPut, waiting: Waiting) => void;
  readonly #answers: unknown[] = [];
  #count = 0;
  #answered = 0;
  #all: (() => void) | undefined;

  constructor(gather: (put: PackedPut, waiting: Waiting) => void) {
    this.#gather = gather;
  }

  /** Adds a value, which is copied within the call. */
  add(put: PackedPut): void {
    this.#gather(put, new Place(this, this.#count++));
  }

  /** Resolves to an answer or an error for each, in their order, once all have ended. To be called once, after the last. */
  async answers(): Promise<readonly unknown[]> {
    if (this.#answered < this.#count) {
      await new Promise<void>((resolve) => {
        this.#all = resolve;
      });
    }
    return this.#answers;
  }

  settle(index: number, answer: unknown): void {
    this.#answers[index] = answer;
    this.#answered++;
    if (this.#answered === this.#count) this.#all?.();
  }
}

/** Who waits for one of them. */
class Place implements Waiting {
  readonly read: undefined;
  readonly ended: undefined;
  readonly #gathering: Gathering;
  readonly #index: number;

  constructor(gathering: Gathering, index: number) {
    this.#gathering = gathering;
    this.#index = index;
  }

  resolve(answer: unknown): void {
    this.#gathering.settle(this.#index, answer);
  }

  reject(error: unknown): void {
    this.#gathering.settle(this.#index, error);
  }
}

function succeed(waiting: Waiting, answer: unknown): void {
  waiting.ended?.();
  waiting.resolve(waiting.read === undefined ? answer : waiting.read(answer));
}

function fail(waiting: Waiting, error: unknown): void {
  waiting.ended?.();
  waiting.reject(error);
}

/** One answer stands for all of a chunk where it is the same for all. */
function settleAll(gathered: readonly Waiting[], answers: PutAnswer | readonly PutAnswer[]): void {
  const list = isList(answers) ? answers : undefined;
  let index = 0;
  for (const waiting of gathered) {
    const answer = list === undefined ? answers : list[index++];
    const failure =
      typeof answer === "object" ? (answer as { readonly failure?: Failure } | null)?.failure : undefined;
    if (failure === undefined) succeed(waiting, answer);
    else fail(waiting, asQuiverError(failure));
  }
}

function isList(answers: PutAnswer | readonly PutAnswer[]): answers is readonly PutAnswer[] {
  return Array.isArray(answers);
}

/** How a store is opened natively. */
export interface NativeOpenOptions {
  readonly settings: {
    readonly durability: "full" | "process";
    readonly maxSize: number | null;
    readonly maxEntries: number | null;
    readonly eviction: string | null;
  };
  readonly reconfigure: boolean;
  readonly readOnly: boolean;
  readonly modes: "private" | "readable" | "group";
  /** Values mapped at once. */
  readonly mappings: number;
  /** Bytes of copies beyond them. */
  readonly copies: number;
}

export function openNative(path: string, options: NativeOpenOptions): Promise<NativeStore> {
  return translatedAsync(() => addon.openStore(path, JSON.stringify(options)));
}

/** Copies a chunk into the writer before it returns; resolves when more may be written. */
export async function writeChunk(requests: Requests, writer: NativeWriter, chunk: Uint8Array): Promise<void> {
  if (translated(() => writer.write(chunk))) return;
  await requests.send((id) => writer.ready(id));
}
