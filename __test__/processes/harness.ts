/**
 * Processes for tests: programs of this folder run over the sources of the package, in processes of their own that
 * can be killed, stopped and asked to end.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll } from "vitest";

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Whether the long forms of these tests are asked for. */
export const torture: boolean = process.env["QUIVER_TORTURE"] === "1";

/** What a program sends to its test. */
export type Message = { readonly kind: string } & Readonly<Record<string, unknown>>;

/**
 * The programs of this folder, compiled from the sources as they are now, with an add-on of their own: nothing that is
 * built meanwhile changes under the processes. Removed when the test file ends.
 */
export class Programs {
  readonly #folder: string;

  constructor() {
    this.#folder = join(repository, ".quiver-test", `processes-${process.pid}`);
    rmSync(this.#folder, { recursive: true, force: true });
    for (const path of [...modules("src"), ...modules("__test__/processes")]) {
      compileModule(path, join(this.#folder, path));
    }
    const addon = "src/native/quiver.node";
    copyFileSync(join(repository, addon), join(this.#folder, addon));
    afterAll(() => rmSync(this.#folder, { recursive: true, force: true }));
  }

  /** Starts `programs/<name>.ts`; it finds `input` with `inputOf`. */
  start(name: string, input: unknown, prefix: readonly string[] = []): Process {
    const [command = process.execPath, ...before] = [...prefix, process.execPath];
    const program = join(this.#folder, "__test__/processes/programs", `${name}.js`);
    const child = spawn(command, [...before, program, JSON.stringify(input)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: neutralVariables(),
    });
    return new Process(name, child);
  }
}

/** The environment without what would configure caches. */
export function neutralVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([variable]) => !variable.startsWith("QUIVER_")),
  );
}

/** What tsc makes of a module of the repository, without looking at types; at `target`, but with `.js` at its end. */
export function compileModule(path: string, target: string): void {
  const { outputText } = ts.transpileModule(readFileSync(join(repository, path), "utf8"), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
    },
  });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target.replace(/\.ts$/, ".js"), outputText);
}

/** The modules below a folder of the repository that are no tests, with paths from the repository on. */
export function modules(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => relative(repository, join(entry.parentPath, entry.name)));
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One running program. */
export class Process {
  /** Resolves when the process is gone and its last message has arrived. */
  readonly ended: Promise<Ending>;
  readonly messages: Message[] = [];
  readonly #name: string;
  readonly #child: ChildProcess;
  #errors = "";
  readonly #waiting = new Set<() => void>();

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    child.on("message", (message) => {
      this.messages.push(message as Message);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      child.on("close", (code, signal) => {
        resolve({ code, signal });
        this.#wake();
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** What it wrote to standard error. */
  get errors(): string {
    return this.#errors;
  }

  /** The first message of the kind, arrived or to come; rejects when the process ends without it. */
  async message(kind: string): Promise<Message> {
    for (;;) {
      const found = this.messages.find((message) => message.kind === kind);
      if (found !== undefined) return found;
      if (this.#isOver()) throw new Error(`${this.#name} ended without "${kind}":\n${this.#errors}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  send(message: Message): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, wherever it is. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** Asks it to end well, and rejects when it does not. */
  async stop(): Promise<void> {
    this.send({ kind: "stop" });
    if ((await this.ended).code !== 0) throw await this.#failure();
  }

  /** Rejects when it has ended, though nobody asked it to, with what it said. */
  async checkRunning(): Promise<void> {
    if (this.#isOver()) throw await this.#failure();
  }

  async #failure(): Promise<Error> {
    const { code, signal } = await this.ended;
    return new Error(`${this.#name} ended with ${code ?? signal}:\n${this.#errors}`);
  }

  #isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #wake(): void {
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }
}
