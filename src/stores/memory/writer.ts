/** A value that is written piece by piece into one growing buffer. */

import { QuiverError } from "../../shared/errors.ts";
import type { EntryFacts, NewFacts, ValueWriter } from "../store.ts";

const SMALLEST_BUFFER = 4096;
/** A hint is not trusted with more; larger values grow into their buffer. */
const LARGEST_FIRST_BUFFER = 64 * 1024 * 1024;

export class BufferedWriter implements ValueWriter {
  readonly #signal: AbortSignal | undefined;
  readonly #store: (bytes: Uint8Array, facts: NewFacts) => EntryFacts | Promise<EntryFacts>;
  #buffer: Uint8Array;
  #length = 0;
  #ended = false;

  /** `store` is given the bytes on commit, to keep. */
  constructor(
    options: { sizeHint?: number; signal?: AbortSignal },
    store: (bytes: Uint8Array, facts: NewFacts) => EntryFacts | Promise<EntryFacts>,
  ) {
    this.#signal = options.signal;
    this.#store = store;
    this.#buffer = new Uint8Array(Math.min(options.sizeHint ?? SMALLEST_BUFFER, LARGEST_FIRST_BUFFER));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#check();
    const length = this.#length + chunk.byteLength;
    if (length > this.#buffer.byteLength) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.byteLength, SMALLEST_BUFFER));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
  }

  async commit(facts: NewFacts): Promise<EntryFacts> {
    this.#check();
    const bytes =
      this.#length === this.#buffer.byteLength ? this.#buffer : this.#buffer.slice(0, this.#length);
    this.#end();
    return this.#store(bytes, facts);
  }

  async abort(): Promise<void> {
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
  }

  #check(): void {
    if (this.#ended) {
      throw new QuiverError("ERR_QUIVER_CLOSED", "the writer has been committed or aborted", {
        hint: "A writer ends with its first commit or abort.",
        fix: "Ask for another writer.",
      });
    }
    if (this.#signal?.aborted) {
      this.#end();
      throw new QuiverError("ERR_QUIVER_ABORTED", "writing was aborted", { cause: this.#signal.reason });
    }
  }
}
