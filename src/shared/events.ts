/** A small typed emitter. */

import { shown } from "./arguments.ts";
import type { Logger } from "./logger.ts";

/** `Events` maps the name of each event to what its listeners are given. */
export class Emitter<Events extends object> {
  readonly #logger: Logger;
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Adds a listener; adding the same one twice is the same as once. Returns the function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void {
    const listeners = this.#listeners.get(name);
    if (listeners?.delete(listener) && listeners.size === 0) this.#listeners.delete(name);
  }

  /** Whether anybody listens; lets hot paths skip making the event. */
  has(name: keyof Events): boolean {
    return this.#listeners.has(name);
  }

  /** Calls the listeners in the order they were added. One that throws is logged; the others still run. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name) as Set<(event: Events[Name]) => void> | undefined;
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      tell(this.#logger, String(name), () => listener(event));
    }
  }
}

/** Calls a listener of `name`. What it throws or rejects with is logged: it is no failure of who has something to tell. */
export function tell(logger: Logger, name: string, listener: () => unknown): void {
  const log = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : shown(error);
    logger.error(`a listener of "${name}" threw: ${reason}`, `listener:${name}`);
  };
  try {
    const result = listener();
    if (result instanceof Promise) result.catch(log);
  } catch (error) {
    log(error);
  }
}
