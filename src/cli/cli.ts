/** What the commands share: options that each of them takes, results as text or JSON, exit statuses, errors. */

import { Command, CommanderError, Option } from "commander";
import { isQuiverError, type QuiverErrorCode } from "../shared/errors.ts";
import { EXIT, type ExitStatus } from "./exit.ts";
import type { CliIo } from "./io.ts";
import { printable } from "./text.ts";

/** Options of every command. */
export interface CommonOptions {
  /** Directory of the cache. */
  readonly cache?: string;
  readonly json?: boolean;
}

/** One run of the command line: where it writes, and the status it ends with. */
export class Cli {
  readonly io: CliIo;
  status: ExitStatus = EXIT.ok;

  constructor(io: CliIo) {
    this.io = io;
  }

  /** A new command that takes the common options and reports its own misuse through this run. */
  command(name: string, description: string): Command {
    return this.group(name, description)
      .option(
        "-C, --cache <directory>",
        "directory of the cache (default: QUIVER_PATH, then the user's cache folder)",
      )
      .option("--json", "print the result as JSON");
  }

  /** A new command without options, for those that others hang below or that are about no cache. */
  group(name: string, description: string): Command {
    return this.quiet(new Command(name)).description(description);
  }

  /** Makes commander throw instead of ending the process, and write where this run writes. */
  quiet(command: Command): Command {
    return command
      .exitOverride()
      .showHelpAfterError("(--help says more)")
      .configureOutput({
        writeOut: (text) => void this.io.write(text),
        writeErr: (text) => this.io.note(text),
      });
  }

  /** An action for commander whose result becomes the exit status. */
  action<Args extends readonly unknown[]>(
    run: (...args: Args) => Promise<ExitStatus>,
  ): (...args: Args) => Promise<void> {
    return async (...args) => {
      this.status = await run(...args);
    };
  }

  /** An option that takes one of some words. */
  choice(flags: string, description: string, words: readonly string[], fallback?: string): Option {
    const option = new Option(flags, description).choices(words);
    return fallback === undefined ? option : option.default(fallback);
  }

  /** A line that is safe to print whatever keys are in it. */
  line(text: string): string {
    return `${printable(text)}\n`;
  }

  /** Prints a result as JSON, one document. BigInts become strings. */
  async printJson(value: unknown): Promise<void> {
    await this.io.write(
      `${JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part), 2)}\n`,
    );
  }

  /** Runs the program to its end and returns the exit status; every failure is told, none is thrown. */
  async run(program: Command, args: readonly string[]): Promise<ExitStatus> {
    try {
      await program.parseAsync(args, { from: "user" });
      return this.status;
    } catch (error) {
      // Commander has written its own message by now.
      if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      this.io.note(errorText(error));
      if (isQuiverError(error, "ERR_QUIVER_NOT_FOUND")) return EXIT.notFound;
      return isQuiverError(error) && MISUSE.has(error.code) ? EXIT.usage : EXIT.failed;
    }
  }
}

/** What is wrong with the command itself. */
const MISUSE: ReadonlySet<QuiverErrorCode> = new Set<QuiverErrorCode>([
  "ERR_QUIVER_BAD_OPTION",
  "ERR_QUIVER_BAD_KEY",
  "ERR_QUIVER_BAD_NAMESPACE",
  "ERR_QUIVER_BAD_VALUE",
]);

/** A failure in a few lines: what happened, why, what to do. Only a fault of this package shows its stack. */
export function errorText(error: unknown): string {
  return linesOf(error)
    .map((line) => `${printable(line)}\n`)
    .join("");
}

function linesOf(error: unknown): readonly string[] {
  if (!isQuiverError(error)) {
    if (!(error instanceof Error)) return [`quiver: ${String(error)}`];
    // The system's refusals: no room for the output, no such file.
    return "syscall" in error
      ? [`quiver: ${error.message}`]
      : `quiver: ${error.stack ?? error.message}`.split("\n");
  }
  const { message, code, hint, fix, cause } = error;
  const because =
    cause instanceof Error && !message.includes(cause.message) ? [`  cause: ${cause.message}`] : [];
  return [`quiver: ${message} (${code})`, `  why: ${hint}`, ...because, `  fix: ${fix}`];
}
