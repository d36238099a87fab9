/** The files that people deploy with: each is looked at by the tool that will read it, where that is installed. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { expect, test } from "vitest";
import { METRICS } from "../../src/metrics/catalogue.ts";
import { compileModule, modules, neutralVariables } from "../processes/harness.ts";

const root: string = resolve(import.meta.dirname, "../..");
const folder: string = join(root, "examples/deploy");

/** A command with arguments that only ask whether it is there. */
type Tool = readonly [command: string, ...probe: readonly string[]];

function isThere([command, ...probe]: Tool): boolean {
  return spawnSync(command, probe, { stdio: "ignore" }).status === 0;
}

const checks: readonly [file: string, tool: Tool, args: readonly string[]][] = [
  [
    "quiver-example.service",
    ["systemd-analyze", "--version"],
    ["verify", join(folder, "quiver-example.service")],
  ],
  [
    "kubernetes.yaml",
    ["kubectl", "version", "--client"],
    ["label", "--local", "--output=name", "checked=yes", "--filename", join(folder, "kubernetes.yaml")],
  ],
  [
    "compose.yaml",
    ["docker", "compose", "version"],
    ["compose", "--file", join(folder, "compose.yaml"), "config", "--quiet"],
  ],
];

for (const [file, tool, args] of checks) {
  test.skipIf(!isThere(tool))(`${tool[0]} takes ${file}`, () => {
    const { status, stderr } = spawnSync(tool[0], args, { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
}

test("the metrics to watch are among those exported", () => {
  const page = readFileSync(join(root, "docs/deployment.md"), "utf8");
  const named = new Set([...page.matchAll(/quiver_([a-z_]+?)(?:_total)?(?=[`{])/g)].map(([, name]) => name));
  const exported = new Set([...METRICS.map(({ name }) => name), "operation_seconds"]);
  expect(named.size).toBeGreaterThan(4);
  expect([...named].filter((name) => name === undefined || !exported.has(name))).toEqual([]);
});

test("the image has all that the server needs", async () => {
  const image = mkdtempSync(join(tmpdir(), "quiver-image-"));
  const [, , stage = ""] = readFileSync(join(folder, "Dockerfile"), "utf8").split(/^FROM /m);
  for (const [, from = "", to = ""] of stage.matchAll(/^COPY --from=build \/build\/(\S+) (\S+)$/gm)) {
    if (from !== "app") cpSync(join(root, from), join(image, to), { recursive: true });
    else
      for (const path of modules("examples"))
        compileModule(path, join(image, to, relative("examples", path)));
  }
  const [, manifest = ""] = /^RUN echo '(.*)' > package\.json/m.exec(stage) ?? [];
  writeFileSync(join(image, "package.json"), manifest);

  const [, command = "", file = ""] = /^CMD \["(\w+)", "(.+)"\]$/m.exec(stage) ?? [];
  const env = { ...neutralVariables(), HOST: "127.0.0.1", PORT: "0", QUIVER_PATH: join(image, "cache") };
  const server = spawn(command, [file], { cwd: image, env });
  let said = "";
  const listening = new Promise<void>((resolve) => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.on("data", (text) => {
        said += text;
        if (/^listening on /m.test(said)) resolve();
      });
    }
  });
  const ended = once(server, "close");
  try {
    await Promise.race([listening, ended]);
    server.kill();
    expect({ said, ended: await ended }).toEqual({
      said: expect.stringMatching(/^listening on \d+\n$/),
      ended: [0, null],
    });
  } finally {
    server.kill("SIGKILL");
    rmSync(image, { recursive: true });
  }
});
