/** The files that people deploy with: each is looked at by the tool that will read it, where that is installed. */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { METRICS } from "../../src/metrics/catalogue.ts";

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
