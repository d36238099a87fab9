/** The native add-on: built in release mode by cargo, with the TypeScript declarations that napi-rs derives. */

import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { inRoot, tools } from "./paths.mjs";
import { runNode } from "./process.mjs";
import { SetupError, step } from "./report.mjs";
import { filesUnder, fingerprint, stampIs, writeStamp } from "./stamp.mjs";

const outputs = inRoot("target/addon");
const stamp = inRoot("target/addon/.stamp");
const sources = ["crates", "Cargo.toml", "Cargo.lock", ".cargo"].map((path) => inRoot(path));
const binary = inRoot("target/addon/quiver.node");

/** Where the add-on is loaded from. */
const homes = { src: inRoot("src/native/quiver.node"), dist: inRoot("dist/native/quiver.node") };

/** The declarations as the last build derived them, and the committed copy that the sources import. */
export const derivedTypes = inRoot("target/addon/generated.ts");
export const committedTypes = inRoot("src/native/generated.ts");

/**
 * Builds the add-on where its sources or the compiler changed.
 *
 * @param {string} compiler the compiler's version
 * @throws {SetupError} when it doesn't compile; the compiler's messages are on the screen
 */
export async function buildAddon(compiler) {
  const inputs = fingerprint(filesUnder(sources), compiler);
  if (existsSync(binary) && stampIs(stamp, inputs)) return;
  await step("native add-on (release; the first build takes a minute or two)", async () => {
    const { ok } = await runNode(
      [
        ...tools.napi,
        "build",
        "--release",
        ...["--package", "quiver-node", "--manifest-path", "crates/quiver-node/Cargo.toml"],
        ...["--output-dir", outputs, "--no-js", "--no-const-enum", "--dts", "generated.ts"],
      ],
      { show: true },
    );
    if (!ok) throw new SetupError("The native add-on doesn't compile; the compiler's messages are above.");
  });
  writeStamp(stamp, inputs);
}

/**
 * Puts the built add-on where it is loaded from when the sources run, "src", or when the package does, "dist". A process
 * that has the old one loaded keeps it.
 */
export function placeAddon(where) {
  const built = readFileSync(binary);
  const home = homes[where];
  if (existsSync(home) && readFileSync(home).equals(built)) return;
  mkdirSync(dirname(home), { recursive: true });
  // Never written in place: the file is mapped by every process that loaded it.
  writeFileSync(`${home}.new`, built, { mode: 0o755 });
  renameSync(`${home}.new`, home);
}

/** Takes the derived declarations over into the sources. */
export function updateTypes() {
  copyFileSync(derivedTypes, committedTypes);
}
