/** `quiver doctor`: tries everything once on the disk of the cache, in a temporary cache that is removed again. */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { Cache } from "../../cache/cache.ts";
import { keepingOf } from "../../cache/disk.ts";
import { LocalStore } from "../../stores/local.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { rootOf } from "../session.ts";

interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

const NAMESPACE = "doctor";

const samples: Readonly<Record<string, unknown>> = {
  npy: new Tensor(Float64Array.of(1, -0, Number.NaN, 4), [2, 2]),
  npz: { weights: new Tensor(Float32Array.of(1, 2, 3)), ids: new Tensor(BigInt64Array.of(1n, 2n)) },
  safetensors: { weights: new Tensor(Float32Array.of(1, 2, 3)) },
  pt: { weights: new Tensor(Float32Array.of(1, 2, 3)), epoch: 3 },
  json: { text: "grün", list: [1, null, true] },
  text: "grün\n",
  bin: Uint8Array.of(0, 255, 10),
};

export function doctorCommand(cli: Cli): Command {
  return cli.command("doctor", "try every codec and operation on the disk of the cache").action(
    cli.action(async (options: CommonOptions) => {
      // Beside the cache, because a cache can't lie inside another.
      const folder = await mkdtemp(join(nearestFolder(dirname(rootOf(options))), ".quiver-doctor-"));
      const findings: Finding[] = [];
      const report = async (name: string, check: () => Promise<string>): Promise<void> => {
        const finding = await examine(name, check);
        findings.push(finding);
        if (!options.json)
          await cli.io.write(cli.line(`${finding.ok ? "OK  " : "FAIL"} ${name}: ${finding.detail}`));
      };
      try {
        await examineAll(folder, rootOf(options), report);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      if (options.json) await cli.printJson(findings);
      return findings.every(({ ok }) => ok) ? EXIT.ok : EXIT.notFound;
    }),
  );
}

/** Tries everything in `folder`; `path` is where the cache itself is, or would be. */
async function examineAll(
  folder: string,
  path: string,
  report: (name: string, check: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const root = join(folder, "cache");
  for (const [codec, value] of Object.entries(samples)) {
    await report(`codec ${codec}`, async () => {
      await withNamespace(root, (namespace) => namespace.set(codec, value, { codec }));
      // A new cache object, so that the value comes from disk and not from memory.
      const found = await withNamespace(root, (namespace) => namespace.get(codec));
      return same(value, found) ? "written, read back, equal" : fail("what was read is not what was written");
    });
  }
  await report("exists", () =>
    withNamespace(root, async (namespace) => {
      const right = (await namespace.has("json")) && !(await namespace.has("nothing"));
      return right ? "tells what is there from what is not" : fail("has() is wrong");
    }),
  );
  await report("statistics", () =>
    withNamespace(root, async (namespace) => {
      const { entries, hits } = await namespace.stats();
      const count = Object.keys(samples).length;
      const right = entries === count && hits >= count;
      return right
        ? `${entries} entries, ${hits} hits`
        : fail(`${entries} entries and ${hits} hits were counted`);
    }),
  );
  await report("delete", () =>
    withNamespace(root, async (namespace) => {
      const right = (await namespace.delete("json")) && (await namespace.get("json")) === undefined;
      return right ? "removed, and gone" : fail("the entry is still there");
    }),
  );
  const keeping = await keepingOf(path, "auto", "read-write");
  await report("how entries are kept", async () => {
    const kept = keeping.kind === "catalog" ? "in a catalog" : "in one file an entry, without a catalog";
    return `${kept}: ${keeping.reason}`;
  });
  if (keeping.kind === "files") return;
  await report("file system", async () => {
    const store = await LocalStore.open(root);
    try {
      return Object.entries(store.describe().fileSystem)
        .map(([name, found]) =>
          typeof found === "string" ? `${name} ${found}` : `${found ? "" : "no "}${name}`,
        )
        .join(", ");
    } finally {
      await store.close();
    }
  });
}

async function withNamespace<T>(
  root: string,
  use: (namespace: ReturnType<Cache["namespace"]>) => Promise<T>,
): Promise<T> {
  const cache = await Cache.open(root);
  try {
    return await use(cache.namespace(NAMESPACE));
  } finally {
    await cache.close();
  }
}

async function examine(name: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { name, ok: true, detail: await check() };
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

function fail(detail: string): never {
  throw new Error(detail);
}

function same(left: unknown, right: unknown): boolean {
  if (left instanceof Tensor) return right instanceof Tensor && left.equals(right);
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.compare(left, right) === 0;
  if (typeof left !== "object" || left === null || Array.isArray(left)) return isDeepStrictEqual(left, right);
  if (typeof right !== "object" || right === null) return false;
  const others = right as Readonly<Record<string, unknown>>;
  return (
    Object.keys(left).length === Object.keys(others).length &&
    Object.entries(left).every(([name, part]) => same(part, others[name]))
  );
}

/** The folder itself, or the first one above it that is there. */
function nearestFolder(folder: string): string {
  return existsSync(folder) ? folder : nearestFolder(dirname(folder));
}
