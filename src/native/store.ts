/**
 * The add-on's store as TypeScript sees it: numbered requests become promises, and failures become QuiverErrors
 * with the key and path they concern.
 */

import { isQuiverError, isQuiverErrorCode, QuiverError } from "../shared/errors.ts";
import { arrayTooLarge } from "../shared/largest-array.ts";
import { Places } from "../shared/places.ts";
import { addon } from "./addon.ts";
import type { NativeStore, NativeWriter } from "./generated.ts";
import { type PackedPut, PutChunk } from "./put-chunk.ts";

export type {
  NativeColumns,
  NativeScan,
  NativeStore,
  NativeUsage,
  NativeWriter,
  OpenFile,
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

/** The same for calls that may answer with a promise. */
export async function translatedAsync<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** What the add-on says of a request: its number, what it brings or null, and how it failed. */
type Completion = readonly [id: number, answer: unknown, failure?: Failure];

const UNREADABLE = "what the store answered can't be read";

/** Completions as the add-on writes them. What can't be read of one of them is the failure of that request alone. */
function completionsOf(answers: string): readonly Completion[] {
  try {
    return JSON.parse(answers);
  } catch {
    return answers.slice(1, -1).split(",\n").map(completionOf);
  }
}

function completionOf(line: string): Completion {
  try {
    return JSON.parse(line);
  } catch {
    const id = Number.parseInt(line.slice(1), 10);
    return [id, null, { code: "ERR_QUIVER_INTERNAL", message: UNREADABLE }];
  }
}

/** What becomes of a request. */
export interface Ending<T> {
  /** What an answer comes to; one that throws makes the request fail. */
  read(answer: unknown): T;
  /** Is called first, in whatever way it ends. */
  ended(): void;
}

/** Who is told. Neither throws. */
interface Waiting {
  readonly ending: Ending<unknown>;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** What the add-on answers for one of the values of a chunk: when its entry was made, all facts of it, or how it failed. */
type PutAnswer = number | { readonly failure?: Failure };

/** Far beyond any wait; the timer only keeps the process alive. */
const NEVER = 0x7fff_ffff;

function doNothing(): void {}

function asItIs(answer: unknown): unknown {
  return answer;
}

const PLAIN: Ending<unknown> = { read: asItIs, ended: doNothing };

/**
 * Requests that are under way. Those sent in one turn of the event loop are committed together, unless they are
 * many bytes and nothing is synced; their answers arrive in batches; as long as one is awaited, the process stays alive.
 */
export class Requests {
  readonly #store: NativeStore;
  readonly #waiting = new Places<Waiting>();
  readonly #chunk = new PutChunk();
  /** Who waits for the values in the chunk, in their order. */
  #gathered: Waiting[] = [];
  #chunks = 0;
  #flushScheduled = false;
  readonly #alive = setInterval(doNothing, NEVER).unref();

  constructor(store: NativeStore) {
    this.#store = store;
    store.listen((answers) => this.#settle(answers));
  }

  /** Sends a request under a free number; resolves to its answer, null for nothing, or to what is read from it. */
  send<T>(submit: (id: number) => void, ending: Ending<T> = PLAIN as Ending<T>): Promise<T> {
    // Requests are answered in the order in which they were sent, and take effect so.
    this.handOver();
    return new Promise((resolve, reject) => {
      this.#enter(submit, { resolve: resolve as (answer: unknown) => void, reject, ending });
      this.#scheduleFlush();
    });
  }

  /** The same for a packed value. It waits here for those that follow it in this turn of the event loop. */
  put<T>(put: PackedPut, ending: Ending<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { resolve: resolve as (answer: unknown) => void, reject, ending };
      try {
        this.#gather(put, waiting);
      } catch (error) {
        fail(waiting, error);
      }
    });
  }

  /** The same for several that are given one by one, with one promise for all. */
  together<T>(): Gathering<T> {
    return new Gathering((put, waiting) => this.#gather(put, waiting));
  }

  /** The number of the chunk that the next value is likely to go into. Those of one chunk are answered together. */
  get chunk(): number {
    return this.#chunks;
  }

  #gather(put: PackedPut, waiting: Waiting): void {
    if (!this.#chunk.add(put)) {
      this.handOver();
      this.#chunk.add(put);
    }
    this.#gathered.push(waiting);
    if (this.#chunk.isHeavy) this.handOver();
    this.#scheduleFlush();
  }

  /** Hands over what waits here. To be called before what has to come after it and is no request. */
  handOver(): void {
    if (this.#chunk.isEmpty) return;
    this.#chunks++;
    const bytes = this.#chunk.take();
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#enter((id) => this.#store.putMany(id, bytes), {
      resolve: (answers) => settleAll(gathered, answers as PutAnswer | readonly PutAnswer[]),
      reject: (error) => {
        for (const waiting of gathered) fail(waiting, error);
      },
      ending: PLAIN,
    });
  }

  /** Submits a request under a free number. */
  #enter(submit: (id: number) => void, waiting: Waiting): void {
    if (this.#waiting.isEmpty) this.#alive.ref();
    const id = this.#waiting.add(waiting);
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
      if (answers !== null) this.#settle(answers);
    });
  }

  #settle(answers: string): void {
    for (const [id, answer, failure] of completionsOf(answers)) {
      const waiting = this.#take(id);
      if (waiting === undefined) continue;
      if (failure === undefined) succeed(waiting, answer);
      else fail(waiting, asQuiverError(failure));
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.take(id);
    if (waiting !== undefined && this.#waiting.isEmpty) this.#alive.unref();
    return waiting;
  }
}

/** Packed values that one caller waits for. */
export class Gathering<T> {
  readonly #gather: (put: PackedPut, waiting: Waiting) => void;
  readonly #answers: (T | Error)[] = [];
  #count = 0;
  #answered = 0;
  #all: (() => void) | undefined;

  constructor(gather: (put: PackedPut, waiting: Waiting) => void) {
    this.#gather = gather;
  }

  /** Adds a value, which is copied within the call. */
  add(put: PackedPut, ending: Ending<T>): void {
    this.#gather(put, new Place(this, this.#count, ending));
    // Nobody answers what could not be copied.
    this.#count++;
  }

  /** Resolves to what each answer comes to, or an error, in their order, once all have ended. To be called once, after the last. */
  async answers(): Promise<readonly (T | Error)[]> {
    if (this.#answered < this.#count) {
      await new Promise<void>((resolve) => {
        this.#all = resolve;
      });
    }
    return this.#answers;
  }

  settle(index: number, answer: T | Error): void {
    this.#answers[index] = answer;
    this.#answered++;
    if (this.#answered === this.#count) this.#all?.();
  }
}

/** Who waits for one of them. */
class Place<T> implements Waiting {
  readonly ending: Ending<T>;
  readonly #gathering: Gathering<T>;
  readonly #index: number;

  constructor(gathering: Gathering<T>, index: number, ending: Ending<T>) {
    this.ending = ending;
    this.#gathering = gathering;
    this.#index = index;
  }

  resolve(answer: unknown): void {
    this.#gathering.settle(this.#index, answer as T);
  }

  reject(error: unknown): void {
    this.#gathering.settle(this.#index, error as Error);
  }
}

/**
 * What goes wrong while somebody is told is his failure alone: others are to be told by the same call of the add-on's,
 * which an exception would leave, and with it the process.
 */
function succeed(waiting: Waiting, answer: unknown): void {
  try {
    waiting.ending.ended();
    waiting.resolve(waiting.ending.read(answer));
  } catch (error) {
    waiting.reject(asFault(error));
  }
}

/** The same for who is told of a failure. */
function fail(waiting: Waiting, failure: unknown): void {
  try {
    waiting.ending.ended();
    waiting.reject(failure);
  } catch (error) {
    waiting.reject(asFault(error));
  }
}

/** An error of ours as it is, any other as a fault of ours. */
function asFault(cause: unknown): unknown {
  if (isQuiverError(cause)) return cause;
  return new QuiverError("ERR_QUIVER_INTERNAL", UNREADABLE, { cause });
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
