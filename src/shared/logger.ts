/** Where warnings and notices go. Messages name keys and paths, never values. */

/** Takes what users should know; `cause` groups messages that say the same again. */
export interface Logger {
  debug(message: string, cause?: string): void;
  info(message: string, cause?: string): void;
  warn(message: string, cause?: string): void;
  error(message: string, cause?: string): void;
}

const QUIET_PERIOD = 60_000;
const REMEMBERED_CAUSES = 1000;

export interface ConsoleLoggerOptions {
  /** Prints debug and info as well. Default: whether QUIVER_LOG is "debug". */
  readonly debug?: boolean;
  /** Takes one line without its line break. Default: writes to standard error. */
  readonly write?: (line: string) => void;
  /** Milliseconds that only move forward. Default: `performance.now`. */
  readonly clock?: () => number;
}

/**
 * A logger that prints warnings and errors, each cause (default: the message itself) at most once a minute; the
 * next line of the same cause says how many were left out.
 */
export function consoleLogger(options: ConsoleLoggerOptions = {}): Logger {
  const verbose = options.debug ?? process.env["QUIVER_LOG"] === "debug";
  const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`));
  const clock = options.clock ?? (() => performance.now());
  const causes = new Map<string, { printedAt: number; suppressed: number }>();

  function print(level: string, message: string, cause = message): void {
    const time = clock();
    const known = causes.get(cause);
    if (known !== undefined && time - known.printedAt < QUIET_PERIOD) {
      known.suppressed++;
      return;
    }
    // Reinserted, so that the map's order is that of printing and the first is the oldest.
    causes.delete(cause);
    causes.set(cause, { printedAt: time, suppressed: 0 });
    if (causes.size > REMEMBERED_CAUSES) {
      for (const oldest of causes.keys()) {
        causes.delete(oldest);
        break;
      }
    }
    const more =
      known === undefined || known.suppressed === 0 ? "" : ` (and ${known.suppressed} more like it)`;
    write(`quiver ${level}: ${message}${more}`);
  }

  return {
    debug: (message) => verbose && write(`quiver debug: ${message}`),
    info: (message) => verbose && write(`quiver info: ${message}`),
    warn: (message, cause) => print("warning", message, cause),
    error: (message, cause) => print("error", message, cause),
  };
}

/** The logger of everything that was given none. */
export const defaultLogger: Logger = consoleLogger();
