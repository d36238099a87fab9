/** A value that is written piece by piece into a file, behind room for its header. */

import { createHash } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { QuiverError } from "../../shared/errors.ts";
import { ioError } from "../../shared/file-system.ts";
import type { EntryFacts, NewFacts, ValueWriter } from "../store.ts";
import { writeAll } from "./folder.ts";

/** Room for a header that is not known yet: the longest key in JSON, and metadata. */
export const HEADER_ROOM: number = 128 * 1024;

/** A complete value in a temporary file that begins with room for a header. */
export interface WrittenValue {
  readonly path: string;
  readonly file: FileHandle;
  readonly size: number;
  readonly digest: string;
}

export class FileWriter implements ValueWriter {
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;
  /** Writes the header, closes and places the file. */
  readonly #finish: (value: WrittenValue, facts: NewFacts) => Promise<EntryFacts>;
  readonly #enqueue: <T>(operation: () => Promise<T>) => Promise<T>;
  readonly #file: Promise<FileHandle>;
  readonly #hash = createHash("sha256");
  #written: Promise<void> = Promise.resolve();
  #size = 0;
  #ended = false;

  constructor(
    path: string,
    signal: AbortSignal | undefined,
    finish: (value: WrittenValue, facts: NewFacts) => Promise<EntryFacts>,
    enqueue: <T>(operation: () => Promise<T>) => Promise<T>,
  ) {
    this.#path = path;
    this.#signal = signal;
    this.#finish = finish;
    this.#enqueue = enqueue;
    this.#file = open(path, "wx", 0o644);
    // Whoever writes or commits hears of it.
    this.#file.catch(() => undefined);
  }

  write(chunk: Uint8Array): Promise<void> {
    const own = chunk.slice();
    const written = this.#written.then(async () => {
      await this.#check();
      this.#hash.update(own);
      const position = HEADER_ROOM + this.#size;
      this.#size += own.byteLength;
      await writeAll(await this.#file, own, position);
    });
    this.#written = written.catch(() => undefined);
    return written.catch((error: unknown) => this.#failed(error));
  }

  commit(facts: NewFacts): Promise<EntryFacts> {
    const own = structuredClone(facts);
    return this.#enqueue(async () => {
      await this.#written;
      await this.#check();
      this.#ended = true;
      try {
        const file = await this.#file;
        const digest = `sha256:${this.#hash.digest("hex")}`;
        return await this.#finish({ path: this.#path, file, size: this.#size, digest }, own);
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

  async #check(): Promise<void> {
    if (this.#ended) {
      throw new QuiverError("ERR_QUIVER_CLOSED", "the writer has been committed or aborted", {
        hint: "A writer ends with its first commit or abort.",
        fix: "Ask for another writer.",
      });
    }
    if (!this.#signal?.aborted) return;
    this.#ended = true;
    await this.#discard();
    throw new QuiverError("ERR_QUIVER_ABORTED", "writing was aborted", { cause: this.#signal.reason });
  }

  async #failed(error: unknown): Promise<never> {
    if (error instanceof QuiverError && error.code === "ERR_QUIVER_CLOSED") throw error;
    this.#ended = true;
    await this.#discard();
    throw error instanceof QuiverError ? error : ioError(error, this.#path);
  }

  async #discard(): Promise<void> {
    await this.#file.then((file) => file.close()).catch(() => undefined);
    await unlink(this.#path).catch(() => undefined);
  }
}
