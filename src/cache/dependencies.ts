/** What a result depends on besides its arguments, as digests that become part of its key. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { badOption } from "../shared/options.ts";

/** A text, such as the version of a model; the bytes of a file; the value of another entry. */
export type Dependency =
  | string
  | { readonly file: string }
  | { readonly key: string; readonly namespace?: string };

/** What stands for a file or an entry that is not there. */
const ABSENT = "absent";

/** Files whose digests are remembered. */
const REMEMBERED = 1000;

interface FileDigest {
  readonly identity: string;
  readonly digest: Promise<string>;
}

export class Dependencies {
  readonly #digestOfEntry: (namespace: string | undefined, key: string) => Promise<string | undefined>;
  readonly #files = new Map<string, FileDigest>();

  /** `digestOfEntry` resolves to undefined when there is no entry; without a namespace it is that of the function. */
  constructor(digestOfEntry: (namespace: string | undefined, key: string) => Promise<string | undefined>) {
    this.#digestOfEntry = digestOfEntry;
  }

  /** One text for each. A file is read when its inode, size or times are not what they were, else looked at. */
  digestsOf(dependencies: readonly Dependency[]): Promise<string[]> {
    return Promise.all(dependencies.map((dependency) => this.#digestOf(dependency)));
  }

  async #digestOf(dependency: Dependency): Promise<string> {
    if (typeof dependency === "string") return `text ${dependency}`;
    if ("file" in dependency) return `file ${await this.#fileDigest(resolve(dependency.file))}`;
    if (typeof dependency?.key === "string") {
      return `entry ${(await this.#digestOfEntry(dependency.namespace, dependency.key)) ?? ABSENT}`;
    }
    throw badOption("deps", dependency, "an array of strings, { file } and { namespace, key }");
  }

  async #fileDigest(path: string): Promise<string> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      const identity = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      const known = this.#files.get(path);
      if (known?.identity === identity) return await known.digest;
      const digest = sha256Of(path);
      this.#files.delete(path);
      this.#files.set(path, { identity, digest });
      const [oldest] = this.#files.keys();
      if (this.#files.size > REMEMBERED && oldest !== undefined) this.#files.delete(oldest);
      return await digest;
    } catch {
      this.#files.delete(path);
      return ABSENT;
    }
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  return hash.digest("hex");
}
