/** What has to be on the machine before anything can be built: checked, and said plainly where it is missing. */

import { run } from "./process.mjs";
import { SetupError } from "./report.mjs";

const rustInstall = "install Rust with `curl https://sh.rustup.rs -sSf | sh` (or `rustup update stable`)";

const requirements = [
  { name: "cargo", command: ["cargo", "--version"], least: [1, 91], get: rustInstall },
  { name: "rustc", command: ["rustc", "--version"], least: [1, 91], get: rustInstall },
  {
    name: "a C compiler",
    command: ["cc", "--version"],
    get: "`apt-get install build-essential`, `dnf install gcc` or `xcode-select --install`",
  },
  {
    name: "python3",
    command: ["python3", "--version"],
    get: "`apt-get install python3 python3-venv`",
    optional: "the tests against NumPy and FFTW are skipped without it",
  },
];

const nodeLeast = [20, 19];

function atLeast(version, least) {
  const [major = 0, minor = 0] = version;
  return major > least[0] || (major === least[0] && minor >= least[1]);
}

async function problemOf({ name, command: [program, ...args], least, get, optional }) {
  const { ok, stdout } = await run(program, args);
  if (!ok) return { text: `${name} is missing: ${get}`, optional };
  const found = /(\d+)\.(\d+)/.exec(stdout);
  if (least && !(found && atLeast([Number(found[1]), Number(found[2])], least))) {
    return {
      text: `${name} ${least.join(".")} or later is needed, found ${stdout.trim()}: ${get}`,
      optional,
    };
  }
  return undefined;
}

/**
 * Checks Node and the programs that building needs.
 *
 * @returns {Promise<string>} the compiler's version, for stamps: other compilers give other add-ons
 * @throws {SetupError} naming everything that is missing, and how to get it
 */
export async function checkToolchain() {
  const node = process.versions.node.split(".").map(Number);
  const problems = (await Promise.all(requirements.map(problemOf))).filter(
    (problem) => problem !== undefined,
  );
  if (!atLeast(node, nodeLeast)) {
    problems.unshift({
      text: `Node ${nodeLeast.join(".")} or later is needed, found ${process.version}: https://nodejs.org/`,
    });
  }
  for (const { text, optional } of problems) if (optional) console.warn(`! ${text} (${optional})`);
  const fatal = problems.filter(({ optional }) => !optional);
  if (fatal.length > 0) {
    throw new SetupError(
      ["Quiver can't be built here yet:", ...fatal.map(({ text }) => `  - ${text}`)].join("\n"),
    );
  }
  return (await run("rustc", ["--version"])).stdout.trim();
}
