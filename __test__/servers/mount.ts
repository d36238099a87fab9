/** A network file system for tests, as far as one host can have one: a folder mounted elsewhere through FUSE. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const FUSE = 0x65735546;

/** A folder, and where it is mounted. */
export class Mount {
  readonly path: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, started: ChildProcess) {
    this.#folder = folder;
    this.path = join(folder, "mounted");
    this.#process = started;
  }

  static async start(): Promise<Mount> {
    const folder = mkdtempSync(join(tmpdir(), "quiver-mount-"));
    const [behind, mounted] = [join(folder, "behind"), join(folder, "mounted")];
    spawnSync("mkdir", [behind, mounted]);
    // In the foreground, so that its end is seen.
    const started = spawn("bindfs", ["-f", behind, mounted], { stdio: "ignore" });
    while (!isMounted(mounted)) {
      if (started.exitCode !== null) throw new Error(`bindfs ended with ${started.exitCode}`);
      await sleep(5);
    }
    return new Mount(folder, started);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    spawnSync("umount", [this.path]);
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Whether folders can be mounted here. Tests that need it are skipped, and so counted, where not. */
export const canMount: boolean = tryMounting();

function tryMounting(): boolean {
  if (process.getuid?.() !== 0 || spawnSync("bindfs", ["--version"]).status !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "quiver-mount-"));
  const mounted = spawnSync("bindfs", [folder, folder, "-o", "nonempty"]).status === 0;
  if (mounted) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true, force: true });
  return mounted;
}

function isMounted(folder: string): boolean {
  const { stdout } = spawnSync("stat", ["-f", "-c", "%t", folder], { encoding: "utf8" });
  return Number.parseInt(stdout, 16) === FUSE;
}
