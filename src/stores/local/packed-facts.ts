/**
 * The facts of packed values on their way in and out. Writing them as JSON, and reading them, on both sides would take
 * longer than storing a small value.
 */

import type { Ending, NativeStore } from "../../native/store.ts";
import { QuiverError } from "../../shared/errors.ts";
import type { Hold } from "../../shared/key-queue.ts";
import type { EntryFacts, NewFacts } from "../store.ts";

/** Combinations of codec, extension and priority that are numbered; programs have a few. */
const MOST = 256;

/** Numbers the facts that most writes have in common with many others; the add-on knows them by number. */
export class Manners {
  readonly #native: NativeStore;
  readonly #numbers = new Map<string, number>();
  #last: NewFacts | undefined;
  #number = 0;

  constructor(native: NativeStore) {
    this.#native = native;
  }

  /**
   * The number that stands for all of these facts but `expiresAt` and `fence`; JSON of them, where they are of this
   * write only.
   */
  of(facts: NewFacts): number | string {
    if (facts === this.#last) return this.#number;
    if (!isPlain(facts)) return JSON.stringify(facts);
    const last = this.#last;
    if (
      last?.codec !== facts.codec ||
      last.extension !== facts.extension ||
      last.priority !== facts.priority
    ) {
      const json = JSON.stringify({ ...facts, expiresAt: null, fence: undefined });
      let number = this.#numbers.get(json);
      if (number === undefined) {
        if (this.#numbers.size === MOST) return JSON.stringify(facts);
        number = this.#native.manner(json);
        this.#numbers.set(json, number);
      }
      this.#last = facts;
      this.#number = number;
    }
    return this.#number;
  }
}

/** Whether facts are codec, extension, priority, time of expiry and fence. */
function isPlain({ staleUntil, pinned, tags, metadata, shape, dtype }: NewFacts): boolean {
  return (
    staleUntil === undefined &&
    pinned === undefined &&
    tags === undefined &&
    metadata === undefined &&
    shape === undefined &&
    dtype === undefined
  );
}

/** A write of a packed value that is under way, as one of those that hold their keys together. */
export class PackedWrite implements Ending<EntryFacts> {
  readonly #key: string;
  readonly #size: number;
  readonly #facts: NewFacts;
  readonly #hold: Hold | undefined;

  constructor(key: string, size: number, facts: NewFacts, hold: Hold | undefined) {
    this.#key = key;
    this.#size = size;
    this.#facts = facts;
    this.#hold = hold;
  }

  read(answer: unknown): EntryFacts {
    return factsOf(this.#key, this.#size, this.#facts, answer);
  }

  ended(): void {
    this.#hold?.end();
  }
}

/**
 * What the add-on answers to a write: all facts, or when the entry was made if the rest follows from the call. Throws
 * ERR_QUIVER_INTERNAL where it is nothing.
 */
export function factsOf(key: string, size: number, facts: NewFacts, answer: unknown): EntryFacts {
  if (typeof answer === "string") return JSON.parse(answer);
  if (answer === null || answer === undefined) {
    throw new QuiverError("ERR_QUIVER_INTERNAL", "the store did not say what a write came to", { key });
  }
  if (typeof answer !== "number") return answer as EntryFacts;
  return {
    key,
    size,
    digest: undefined,
    createdAt: answer,
    expiresAt: facts.expiresAt,
    lastAccessed: answer,
    accessCount: 0,
    codec: facts.codec,
    priority: facts.priority ?? 0,
    pinned: false,
    tags: [],
    metadata: undefined,
  };
}
