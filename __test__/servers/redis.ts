/** Real Redis servers for tests: each on a Unix socket in a folder of its own, without persistence. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether a server can be started here. Tests that need one are skipped, and so counted, where not. */
export const hasRedis: boolean = spawnSync("redis-server", ["--version"]).status === 0;

export class RedisServer {
  readonly socketPath: string;
  readonly #folder: string;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(folder: string, args: readonly string[]) {
    this.#folder = folder;
    this.#args = args;
    this.socketPath = join(folder, "redis.sock");
  }

  /** Starts a server; `args` are options of redis-server, such as "--maxmemory", "10mb". */
  static async start(...args: string[]): Promise<RedisServer> {
    const server = new RedisServer(await mkdtemp(join(tmpdir(), "quiver-redis-")), args);
    await server.restart();
    return server;
  }

  /** Starts the server again, with nothing in it. */
  async restart(): Promise<void> {
    await this.kill();
    const always = ["--port", "0", "--unixsocket", this.socketPath, "--save", "", "--appendonly", "no"];
    const started = spawn("redis-server", [...always, "--dir", this.#folder, ...this.#args], {
      stdio: "ignore",
    });
    this.#process = started;
    while (!existsSync(this.socketPath)) {
      if (started.exitCode !== null) throw new Error(`redis-server ended with ${started.exitCode}`);
      await sleep(5);
    }
  }

  /** Ends the server without warning. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
    await rm(this.socketPath, { force: true });
  }

  /** Lets the server hang: connections stay open and nothing is answered. */
  suspend(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Runs commands over redis-cli; what it prints. */
  command(...args: string[]): string {
    const { stdout } = spawnSync("redis-cli", ["-s", this.socketPath, ...args], { encoding: "utf8" });
    return stdout.trim();
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
