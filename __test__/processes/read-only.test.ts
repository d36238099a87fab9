/**
 * Reading where nothing can be written, beside processes that write by another way: there LMDB can't register the
 * reader, and a writer would reuse the pages under it. The two keep each other out.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { type Process, Programs } from "./harness.ts";

type Mode = "read-write" | "read-only";

const possible =
  process.getuid?.() === 0 &&
  ["unshare", "setpriv"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

describe.skipIf(!possible)("a process that can't register its reads", () => {
  let programs: Programs;
  let folder: string;
  let root: string;
  const running: Process[] = [];

  beforeAll(() => {
    programs = new Programs();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "quiver-read-only-"));
    root = join(folder, "cache");
    await using cache = await Cache.open(root);
    await cache.namespace("n").set("k", "value");
  });

  afterEach(async () => {
    for (const one of running.splice(0)) await one.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Opens the cache in a process of its own, which keeps it open; says what came of it. */
  async function open(mode: Mode, prefix: readonly string[] = []): Promise<readonly [unknown, Process]> {
    const one = programs.start("hold", { root, mode }, prefix);
    running.push(one);
    const { code, value } = await one.message("open");
    if (code === null) expect(value).toBe("value");
    return [code, one];
  }

  /** In a mount namespace of its own, where the cache is mounted read-only. */
  function mounted(): readonly string[] {
    const mount = `mount --bind "${root}" "${root}" && mount -o remount,bind,ro "${root}" && exec "$@"`;
    return ["unshare", "--mount", "sh", "-c", mount, "sh"];
  }

  test("may not read beside one that has the cache open, and may once that is gone", async () => {
    const [none, writer] = await open("read-write");
    expect(none).toBe(null);
    expect((await open("read-only", mounted()))[0]).toBe("ERR_QUIVER_READ_ONLY_LIVE");
    await writer.stop();
    expect((await open("read-only", mounted()))[0]).toBe(null);
    expect((await open("read-only", mounted()))[0]).toBe(null);
  });

  test("keeps those out who would write, until it has gone, killed or not", async () => {
    const [none, reader] = await open("read-only", mounted());
    expect(none).toBe(null);
    expect((await open("read-write"))[0]).toBe("ERR_QUIVER_BUSY");
    expect((await open("read-only"))[0]).toBe(null);
    await reader.kill();
    const [free, writer] = await open("read-write");
    expect(free).toBe(null);
    await writer.stop();
  });

  test("may not read where it is only forbidden to write: others can", async () => {
    spawnSync("chmod", ["755", folder]);
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    expect((await open("read-only", nobody))[0]).toBe("ERR_QUIVER_READ_ONLY_LIVE");
  });

  test("one that can is registered, and reads beside those that write", async () => {
    const [none, writer] = await open("read-write");
    expect(none).toBe(null);
    const [also, reader] = await open("read-only");
    expect(also).toBe(null);
    await reader.kill();
    await writer.stop();
    await using cache = await Cache.open(root);
    expect(await cache.namespace("n").get("k")).toBe("value");
  });
});
