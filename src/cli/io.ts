/** Everything the command line says and asks goes through one small surface, so that tests can stand in for a terminal. */

import { createInterface } from "node:readline/promises";

/** Where a command writes and whom it asks. */
export interface CliIo {
  /** Results, for people and for pipes; resolves when the next piece may be written. */
  write(data: string | Uint8Array): Promise<void>;
  /** Progress, notes and errors. */
  note(text: string): void;
  /** A person sees the results. */
  readonly isTerminal: boolean;
  /** A person sees notes, so that lines may be redrawn. */
  readonly notesAreTerminal: boolean;
  /** Columns of the terminal; Infinity where results go to a file or a pipe. */
  readonly columns: number;
  /** Asks for consent; false where nobody can answer. */
  confirm(question: string): Promise<boolean>;
  /** Standard input as bytes. */
  readonly input: AsyncIterable<Uint8Array>;
}

/** The surface of this process. */
export function processIo(): CliIo {
  const { stdout, stderr, stdin } = process;
  return {
    write: (data) =>
      new Promise((resolve, reject) => {
        stdout.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    note: (text) => void stderr.write(text),
    isTerminal: stdout.isTTY === true,
    notesAreTerminal: stderr.isTTY === true,
    columns: stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY,
    input: stdin,
    async confirm(question) {
      if (!stdin.isTTY) return false;
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
      } finally {
        lines.close();
      }
    },
  };
}
