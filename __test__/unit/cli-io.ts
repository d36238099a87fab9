/** Stands in for a terminal or a pipe: what a command wrote, and what it was answered. */

import type { ExitStatus } from "../../src/cli/exit.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";

export interface CliRun {
  readonly status: ExitStatus;
  /** Standard output. */
  readonly out: string;
  readonly bytes: Buffer;
  /** Standard error. */
  readonly notes: string;
}

export interface CliSetting {
  readonly terminal?: boolean;
  readonly columns?: number;
  /** The answer to every question; left out: nobody is there to answer. */
  readonly answer?: boolean;
  /** Standard input, in one piece or in several. */
  readonly input?: string | Uint8Array | readonly Uint8Array[];
  /** What standard output fails with. */
  readonly refuses?: Error;
}

/** Runs the command line in this process. */
export async function quiver(args: readonly string[], setting: CliSetting = {}): Promise<CliRun> {
  const written: Buffer[] = [];
  let notes = "";
  const io: CliIo = {
    async write(data) {
      if (setting.refuses !== undefined) throw setting.refuses;
      written.push(Buffer.from(data));
    },
    note(text) {
      notes += text;
    },
    isTerminal: setting.terminal ?? false,
    notesAreTerminal: setting.terminal ?? false,
    columns: setting.columns ?? Number.POSITIVE_INFINITY,
    confirm: async () => setting.answer ?? false,
    input: (async function* () {
      const { input = "" } = setting;
      if (typeof input === "string" || input instanceof Uint8Array) yield Buffer.from(input);
      else yield* input;
    })(),
  };
  const status = await runCli(args, io);
  const bytes = Buffer.concat(written);
  return { status, out: bytes.toString(), bytes, notes };
}
