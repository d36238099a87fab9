/** `npm run check`: formatting, lint, types, layers and generated declarations; nothing is run or changed. */

import { existsSync, readFileSync } from "node:fs";
import { buildAddon, committedTypes, derivedTypes } from "./lib/addon.mjs";
import { checkOtherPlatforms } from "./lib/other-platforms.mjs";
import { installPackages } from "./lib/packages.mjs";
import { inRoot, tools } from "./lib/paths.mjs";
import { run, runNode } from "./lib/process.mjs";
import { main, seconds } from "./lib/report.mjs";
import { checkToolchain } from "./lib/toolchain.mjs";

const clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];

async function generatedTypesMatch(compiler) {
  await buildAddon(compiler);
  const ok = readFileSync(derivedTypes, "utf8") === readFileSync(committedTypes, "utf8");
  return { ok, output: "src/native/generated.ts isn't what the add-on declares: `npm run build` writes it." };
}

/** The races against peers compile where their packages are installed: `npm run bench` does that, nothing else needs it. */
const peers = existsSync(inRoot("bench/peers/node_modules/quiver-cache/dist"))
  ? [["types of the races", () => runNode([...tools.tsc, "--noEmit", "-p", "bench/peers/tsconfig.json"])]]
  : [];

/** Two lanes, because cargo's commands wait for each other anyway. */
const lanes = (compiler) => [
  [
    ["rustfmt", () => run("cargo", ["fmt", "--all", "--check"])],
    ["clippy", () => run("cargo", clippy, { env: { CARGO_TERM_COLOR: "never" } })],
    ["generated types", () => generatedTypesMatch(compiler)],
    ["other platforms", checkOtherPlatforms],
  ],
  [
    ["biome", () => runNode([...tools.biome, "check", "--error-on-warnings", "."])],
    ["types of the sources", () => runNode([...tools.tsc, "--noEmit", "-p", "tsconfig.json"])],
    ["types of tests and examples", () => runNode([...tools.tsc, "-p", "tsconfig.test.json"])],
    ...peers,
    ["layers", () => runNode([...tools.depcruise, "src", "--config", ".dependency-cruiser.cjs"])],
  ],
];

async function runLane(checks) {
  let allOk = true;
  for (const [title, check] of checks) {
    const start = performance.now();
    const { ok, output, note } = await check();
    console.log(`${ok ? "ok  " : "FAIL"} ${title} (${seconds(performance.now() - start)})`);
    if (note) console.log(note);
    if (!ok) console.log(output.trimEnd());
    allOk &&= ok;
  }
  return allOk;
}

await main(async () => {
  const compiler = await checkToolchain();
  await installPackages();
  const results = await Promise.all(lanes(compiler).map(runLane));
  if (results.includes(false)) process.exitCode = 1;
});
