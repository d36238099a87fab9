/** Values as streams of bytes, in both directions. */

import { Readable } from "node:stream";
import { markAsUntransferable } from "node:worker_threads";
import { QuiverError } from "../shared/errors.ts";
import { checkOptions, type OptionNames } from "../shared/options.ts";
import type { StoredValue, ValueWriter } from "../stores/store.ts";
import { aborted } from "./failures.ts";
import { count } from "./option-readers.ts";

/** A web stream, a Node stream or any other asynchronous sequence of bytes. */
export type ByteStream = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** Part of a value: bytes `[start, end)`. Default: all of it. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

const RANGE: OptionNames<ByteRange> = { start: true, end: true };

/** Bytes handed on at a time. */
const PIECE = 256 * 1024;

export function isByteStream(value: unknown): value is ByteStream {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/**
 * Writes all of a stream, at the pace of the writer. `admit` is told the size so far and throws when it is too much.
 * Ends the source in every case.
 */
export async function pump(
  source: ByteStream,
  writer: ValueWriter,
  options: { key: string; signal: AbortSignal | undefined; admit: (size: number) => void },
): Promise<void> {
  const { key, signal } = options;
  let size = 0;
  for await (const chunk of untilAborted(source as AsyncIterable<unknown>, key, signal)) {
    if (!(chunk instanceof Uint8Array)) {
      throw new QuiverError("ERR_QUIVER_BAD_VALUE", `the stream brought a ${typeof chunk}, not bytes`, {
        key,
        fix: "Give a stream of Uint8Array; a text stream can go through a TextEncoderStream.",
      });
    }
    size += chunk.byteLength;
    options.admit(size);
    await writer.write(chunk);
  }
}

/** A stream over a stored value. The pieces are views on memory that others share: they must not be written to. */
export function readStream(
  key: string,
  range: ByteRange,
  load: () => Promise<StoredValue | undefined>,
): Readable {
  checkOptions(range, RANGE);
  const start = range.start === undefined ? 0 : count(range.start, "start");
  const wanted = range.end === undefined ? Number.POSITIVE_INFINITY : count(range.end, "end");
  return Readable.from(pieces(key, start, wanted, load), { objectMode: false });
}

async function* pieces(
  key: string,
  start: number,
  wanted: number,
  load: () => Promise<StoredValue | undefined>,
): AsyncGenerator<Uint8Array> {
  const stored = await load();
  if (stored === undefined) throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no "${key}"`, { key });
  const { bytes } = stored;
  markAsUntransferable(bytes.buffer as ArrayBuffer);
  const end = Math.min(wanted, bytes.byteLength);
  for (let at = start; at < end; at += PIECE) {
    const next = Math.min(at + PIECE, end);
    if (stored.ready === undefined) stored.verify?.(at, next);
    else await stored.ready(at, next);
    yield bytes.subarray(at, next);
  }
}

/** The source's chunks; a source that never brings its next one is left when the signal is aborted. */
async function* untilAborted(
  source: AsyncIterable<unknown>,
  key: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown> {
  if (signal === undefined) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let stop = (): void => undefined;
  const abortion = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal, `setting "${key}"`));
  });
  abortion.catch(() => undefined);
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (signal.aborted) stop();
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), abortion]);
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    // Not awaited: the source may be the one that hangs.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
