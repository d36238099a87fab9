/**
 * The crates for other platforms than the one this runs on. Their Rust is checked, with the lints; no C is compiled,
 * nothing is linked and nothing is run.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inRoot } from "./paths.mjs";
import { run } from "./process.mjs";

const targets = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-gnu",
];

/**
 * The C of LMDB is left out, because not everybody has compilers for all targets: a check reads no object files, so
 * that a program which does nothing may stand for compiler and archiver.
 */
const withoutC = (target) => {
  const suffix = target.replaceAll("-", "_");
  return { [`CC_${suffix}`]: "true", [`AR_${suffix}`]: "true" };
};

/** Sizes of types differ between platforms: where a variant is large is judged on this one. */
const lints = ["-D", "warnings", "-A", "clippy::large_enum_variant"];

/** napi's build script looks for the library that an add-on for Windows is linked with; nothing reads it. */
function folderOfLibnode() {
  const folder = inRoot("target/other-platforms");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "libnode.dll"), "");
  return folder;
}

/**
 * Checks the crates for each target whose standard library is installed (`rustup target add`).
 *
 * @returns {Promise<{ ok: boolean, output: string, note: string }>} `note` says what was checked and what was left out
 */
export async function checkOtherPlatforms() {
  const sysroot = (await run("rustc", ["--print", "sysroot"])).stdout.trim();
  const host = /^host: (.*)$/m.exec((await run("rustc", ["-vV"])).stdout)?.[1];
  const others = targets.filter((target) => target !== host);
  const here = others.filter((target) => existsSync(join(sysroot, "lib/rustlib", target, "lib")));
  const leftOut = others.filter((target) => !here.includes(target));
  const note = [
    ...here.map((target) => `     ${target}`),
    ...leftOut.map((target) => `   - ${target} is left out: \`rustup target add ${target}\``),
  ].join("\n");
  if (here.length === 0) return { ok: true, output: "", note };
  const each = here.flatMap((target) => ["--target", target]);
  const { ok, output } = await run("cargo", ["clippy", "--quiet", "--workspace", ...each, "--", ...lints], {
    env: {
      CARGO_TERM_COLOR: "never",
      LIBNODE_PATH: folderOfLibnode(),
      ...Object.assign({}, ...here.map(withoutC)),
    },
  });
  return { ok, output, note };
}
