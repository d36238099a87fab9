/** A value that is written piece by piece into a file, behind room for its header. */

import { createHash } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { QuiverError } from "../../shared/errors.ts";
import { ioError, writeAll } from "../../shared/file-system.ts";
import type { EntryFacts, NewFacts, ValueWriter } from "../store.ts";

/** Room for a header that is not known yet, which most fit in. */
export const HEADER_ROOM: number = 64 * 1024;

/** Smaller values than that are copied, rather than left behind so much room. */
const COPIED = 1024 * 1024;

/** A complete value in a temporary file, behind `HEADER_ROOM` bytes. */
export interface WrittenValue {
  readonly path: string;
  readonly file: FileHandle;
  readonly size: number;
  readonly digest: string;
}

export interface FileWriterParts {
  readonly path: string;
  readonly signal: AbortSignal | undefined;
  readonly checkOpen: () => void;
  /** Writes the header and puts the file in its place. */
  readonly finish: (value: WrittenValue, facts: NewFacts) => Promise<EntryFacts>;
  readonly enqueue: <T>(operation: () => Promise<T>) => Promise<T>;
}

export class FileWriter implements ValueWriter {
  readonly #parts: FileWriterParts;
  readonly #file: Promise<FileHandle>;
  readonly #hash = createHash("sha256");
  #written: Promise<void> = Promise.resolve();
  #size = 0;
  #ended = false;

  constructor(parts: FileWriterParts) {
    this.#parts = parts;
    this.#file = open(parts.path, "wx+", 0o644);
    // Whoever writes or commits hears of it.
    this.#file.catch(() => undefined);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const own = chunk.slice();
    const written = this.#written.then(async () => {
      this.#check();
      const position = HEADER_ROOM + this.#size;
      this.#hash.update(own);
      this.#size += own.byteLength;
      await writeAll(await this.#file, own, position);
    });
    this.#written = written.catch(() => undefined);
    await written.catch((error: unknown) => this.#failed(error));
  }

  async commit(facts: NewFacts): Promise<EntryFacts> {
    const own = structuredClone(facts);
    return this.#parts.enqueue(async () => {
      await this.#written;
      try {
        this.#check();
        this.#ended = true;
        const file = await this.#file;
        const digest = `sha256:${this.#hash.digest("hex")}`;
        return await this.#parts.finish({ path: this.#parts.path, file, size: this.#size, digest }, own);
      } catch (error) {
        return await this.#failed(error);
      }
    });
  }

  async abort(): Promise<void> {
    this.#ended = true;
    await this.#written;
    await this.#discard();
  }

  #check(): void {
    this.#parts.checkOpen();
    if (this.#ended) {
      throw new QuiverError("ERR_QUIVER_CLOSED", "the writer has been committed or aborted", {
        hint: "A writer ends with its first commit or abort.",
        fix: "Ask for another writer.",
      });
    }
    const { signal } = this.#parts;
    if (signal?.aborted) {
      throw new QuiverError("ERR_QUIVER_ABORTED", "writing was aborted", { cause: signal.reason });
    }
  }

  /** What was written so far is of no use. */
  async #failed(error: unknown): Promise<never> {
    this.#ended = true;
    await this.#discard();
    throw error instanceof QuiverError ? error : ioError(error, this.#parts.path);
  }

  /** Does nothing to what has been moved to its place. */
  async #discard(): Promise<void> {
    await this.#file.then((file) => file.close()).catch(() => undefined);
    await unlink(this.#parts.path).catch(() => undefined);
  }
}

/** Whether a header of so many bytes is written before the value, or the value copied behind it. */
export function fitsBefore(headerBytes: number, size: number): boolean {
  return size > COPIED && headerBytes <= HEADER_ROOM;
}

/** The value in pieces. */
export async function* piecesOf({ file, size, path }: WrittenValue): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < size; ) {
    const piece = Buffer.allocUnsafe(Math.min(COPIED, size - done));
    const { bytesRead } = await file.read(piece, 0, piece.byteLength, HEADER_ROOM + done);
    if (bytesRead === 0) throw new QuiverError("ERR_QUIVER_IO", "the file has become shorter", { path });
    yield piece.subarray(0, bytesRead);
    done += bytesRead;
  }
}
