/**
 * Journals: what a program was about to do and what was acknowledged to it, written so that the end of the program
 * loses nothing. From them follows what a cache may hold.
 */

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

/** One line. `sequence` is the number of the value that is there after the operation; 0 = none. */
export interface Line {
  readonly step: "begin" | "end";
  readonly namespace: string;
  /** undefined = all keys of the namespace. */
  readonly key?: string;
  readonly sequence: number;
}

/** Appends lines; each has reached the kernel when the call returns. */
export class Journal {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  begin(namespace: string, key: string | undefined, sequence: number): void {
    this.#write({ step: "begin", namespace, ...(key !== undefined && { key }), sequence });
  }

  end(namespace: string, key: string | undefined, sequence: number): void {
    this.#write({ step: "end", namespace, ...(key !== undefined && { key }), sequence });
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Sequence numbers that a key may have: one, or two where an operation was not acknowledged. 0 = absent. */
export type Allowed = readonly number[];

/** What each key may hold, by namespace and key, after the operations of journals whose writers own their keys. */
export class Expectation {
  readonly #allowed = new Map<string, Map<string, Allowed>>();

  /** Follows one more journal. A line that was cut off was not acted upon. */
  follow(path: string): void {
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    for (const text of lines) this.#apply(JSON.parse(text) as Line);
  }

  /** Settles what was undecided: this is what the key was found to hold. */
  settle(namespace: string, key: string, sequence: number): void {
    this.#of(namespace).set(key, [sequence]);
  }

  /** All keys that were ever written, with what they may hold. */
  *entries(): Iterable<{ readonly namespace: string; readonly key: string; readonly allowed: Allowed }> {
    for (const [namespace, keys] of this.#allowed) {
      for (const [key, allowed] of keys) yield { namespace, key, allowed };
    }
  }

  #of(namespace: string): Map<string, Allowed> {
    let keys = this.#allowed.get(namespace);
    if (keys === undefined) {
      keys = new Map();
      this.#allowed.set(namespace, keys);
    }
    return keys;
  }

  #apply({ step, namespace, key, sequence }: Line): void {
    const keys = this.#of(namespace);
    for (const affected of key === undefined ? [...keys.keys()] : [key]) {
      const before = keys.get(affected) ?? [0];
      keys.set(affected, step === "begin" ? [...new Set([...before, sequence])] : [sequence]);
    }
  }
}
