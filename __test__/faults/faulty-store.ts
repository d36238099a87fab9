/** A store that fails as it is told, over one that works. */

import { MemoryStore, type Store, type StoreNamespace } from "../../src/index.ts";

/** What becomes of a call: it works, throws at once, rejects, or is never answered. */
export type Fault = "none" | "throw" | "reject" | "hang";

const FAILING = ["get", "getSync", "has", "set", "writer", "delete", "info", "list", "touch", "clear"];

export class FaultyStore extends MemoryStore {
  /** Decides on each call. Default: all work. */
  fault: (method: string) => Fault = () => "none";
  /** Methods called, in order. */
  readonly calls: string[] = [];
  readonly #hanging = new Set<(value: unknown) => void>();

  override async open(...args: Parameters<Store["open"]>): Promise<StoreNamespace> {
    const opened = await this.#run("open", () => super.open(...args));
    return new Proxy(opened, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== "function") return member;
        const method = String(name);
        if (!FAILING.includes(method)) return member.bind(target);
        return (...rest: unknown[]) => this.#run(method, () => member.apply(target, rest));
      },
    });
  }

  override async names(): Promise<readonly string[]> {
    return this.#run("names", () => super.names());
  }

  /** Answers the calls that hang: with nothing. */
  wake(): void {
    for (const resume of this.#hanging) resume(undefined);
    this.#hanging.clear();
  }

  #run<R>(method: string, call: () => R): R {
    this.calls.push(method);
    const fault = this.fault(method);
    const failure = (): Error => Object.assign(new Error("the disk is on fire"), { code: "EIO" });
    if (fault === "none") return call();
    if (fault === "throw" || method === "getSync") throw failure();
    if (fault === "reject") return Promise.reject(failure()) as R;
    return new Promise((resolve) => this.#hanging.add(resolve)) as R;
  }
}
