/**
 * The way to the server, which may be slow, gone or restarted. Every call has a time budget, and none waits for a
 * server that is known to be away: while it is, calls fail at once and one probe at a time looks whether it is back.
 */

import { QuiverError } from "../../shared/errors.ts";
import type { Logger } from "../../shared/logger.ts";
import { formatDuration } from "../../shared/units.ts";
import type { Command, Connection } from "./connection.ts";
import type { Script } from "./scripts.ts";

export interface LinkOptions {
  /** Milliseconds that a call may take. */
  readonly timeout: number;
  /** For messages. */
  readonly name: string;
  readonly logger: Logger;
  /** The server answers, for the first time or again; it may have lost everything. */
  readonly onUp: () => void;
}

/** How much a call may move per millisecond of further budget; slower networks are not worth a cache. */
const BYTES_PER_MILLISECOND = 16 * 1024;

const PROBE_PAUSE = 100;
/** A probe that was not answered for so long, or for a call's budget, was lost with its connection. */
const PROBE_PATIENCE = 2000;

/** Replies with an error begin with a word in capitals; failures of the client don't. */
const ERROR_REPLY = /^[A-Z][A-Z0-9]+(?: |$)/;
/** What the server says while it can't work, and will again. */
const COMES_BACK = /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|READONLY|BUSY) /;

export class Link {
  readonly #connection: Connection;
  readonly #options: LinkOptions;
  #up = false;
  #closed = false;
  #probeTimer: NodeJS.Timeout | undefined;
  #probes = 0;
  /** The server's clock less this process's, in milliseconds. */
  #offset = 0;

  constructor(connection: Connection, options: LinkOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Looks whether the server is there; resolves when that is known, after the time budget at the latest. */
  async open(): Promise<void> {
    const answered = this.#probe();
    await this.#within(answered, this.#options.timeout).catch(() => undefined);
    if (!this.#up) this.#options.logger.warn(`${this.#options.name} does not answer; nothing is found there`);
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** The end of the time budget of a call that moves so many bytes, by the server's clock. */
  deadline(bytes: number): number {
    return Math.ceil(Date.now() + this.#offset + this.#budget(bytes));
  }

  /**
   * `bytes` is how much the call moves; a promise where that is known only later. Throws ERR_QUIVER_CLOSED,
   * ERR_QUIVER_UNREACHABLE, ERR_QUIVER_TIMEOUT, ERR_QUIVER_DISK_FULL, ERR_QUIVER_IO.
   */
  async send(command: Command, bytes: number | Promise<number> = 0): Promise<unknown> {
    this.check();
    const answer = this.#connection.send(command);
    try {
      if (typeof bytes === "number") return await this.#within(answer, this.#budget(bytes));
      // Whoever has the answer first, the other one's failure is not unheard.
      answer.catch(() => undefined);
      const size = await bytes;
      return await this.#within(answer, this.#budget(size));
    } catch (error) {
      throw this.#translated(error);
    }
  }

  /** Runs a script on a base name; the server learns it where it doesn't know it. Errors as for `send`. */
  async run(script: Script, base: string, args: Command, bytes = 0): Promise<unknown> {
    try {
      return await this.send(["EVALSHA", script.sha1, "1", base, ...args], bytes);
    } catch (error) {
      if (!(error instanceof QuiverError) || !isUnknownScript(error.cause)) throw error;
      return this.send(["EVAL", script.source, "1", base, ...args], bytes);
    }
  }

  /** Throws unless the link is open and the server there. */
  check(): void {
    if (this.#closed) throw closed(this.#options.name);
    if (!this.#up) throw new QuiverError("ERR_QUIVER_UNREACHABLE", `${this.#options.name} can't be reached`);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#probeTimer);
    this.#connection.close();
  }

  #budget(bytes: number): number {
    return this.#options.timeout + bytes / BYTES_PER_MILLISECOND;
  }

  #within<T>(answer: Promise<T>, budget: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `${this.#options.name} did not answer within ${formatDuration(budget)}`;
        reject(new QuiverError("ERR_QUIVER_TIMEOUT", message));
      }, budget);
      void answer.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  #translated(error: unknown): QuiverError {
    const { name } = this.#options;
    if (this.#closed) return closed(name);
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof QuiverError) {
      this.#down(message);
      return error;
    }
    if (message.startsWith("OOM ")) {
      return new QuiverError("ERR_QUIVER_DISK_FULL", `${name} has no memory left`, {
        hint: "It has reached its maxmemory, and its maxmemory-policy evicts nothing that could make room.",
        fix: "Raise maxmemory, choose another maxmemory-policy, or give the cache a smaller maxSize.",
        cause: error,
      });
    }
    if (ERROR_REPLY.test(message) && !COMES_BACK.test(message)) {
      return new QuiverError("ERR_QUIVER_IO", `${name} refused a command: ${message}`, { cause: error });
    }
    this.#down(message);
    return new QuiverError("ERR_QUIVER_UNREACHABLE", `${name} can't be reached: ${message}`, {
      cause: error,
    });
  }

  #down(reason: string): void {
    if (!this.#up || this.#closed) return;
    this.#up = false;
    this.#options.logger.warn(
      `${this.#options.name} is away, entries there count as missing: ${reason}`,
      "redis",
    );
    this.#probeAfter(0);
  }

  #probeAfter(pause: number): void {
    if (this.#closed) return;
    clearTimeout(this.#probeTimer);
    this.#probeTimer = setTimeout(() => void this.#probe(), pause);
    // Whoever waits for nothing but the server's return need not live for it.
    this.#probeTimer.unref();
  }

  /** Asks for the server's time, and again after a while unless it answers. */
  async #probe(): Promise<void> {
    const number = ++this.#probes;
    this.#probeAfter(Math.max(PROBE_PATIENCE, this.#options.timeout));
    try {
      const sent = Date.now();
      const [seconds, microseconds] = (await this.#connection.send(["TIME"])) as [unknown, unknown];
      // A write makes sure that the server takes some; one that is loading answers TIME.
      await this.#connection.send(["EXISTS", "quiver"]);
      const time = Number(seconds) * 1000 + Number(microseconds) / 1000;
      if (number === this.#probes && !this.#closed) this.#isBack(time - (sent + Date.now()) / 2);
    } catch {
      if (number === this.#probes) this.#probeAfter(PROBE_PAUSE);
    }
  }

  #isBack(offset: number): void {
    clearTimeout(this.#probeTimer);
    this.#offset = offset;
    if (this.#up) return;
    this.#up = true;
    this.#options.logger.info(`${this.#options.name} answers`);
    this.#options.onUp();
  }
}

function isUnknownScript(cause: unknown): boolean {
  return cause instanceof Error && cause.message.startsWith("NOSCRIPT ");
}

function closed(name: string): QuiverError {
  return new QuiverError("ERR_QUIVER_CLOSED", `the store "${name}" is closed`);
}
