/** Python packages in a virtual environment of their own, installed when the list of them changed. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "./process.mjs";
import { step } from "./report.mjs";
import { fingerprint, stampIs, writeStamp } from "./stamp.mjs";

const minutes = 60_000;

/**
 * Makes the environment at `venv` hold what the file `requirements` names. `sources` are arguments for pip that say
 * where from, tried one after the other; by default pip's own source. Nothing here is fatal: without Python or without
 * the network a warning says that `what` is left out.
 */
export async function installPythonPackages({ title, requirements, venv, what, sources = [[]] }) {
  const python = await run("python3", ["--version"]);
  if (!python.ok) return;
  const stamp = join(venv, ".stamp");
  const inputs = fingerprint([requirements], python.stdout);
  if (stampIs(stamp, inputs)) return;
  await step(title, async () => {
    const made = existsSync(`${venv}/bin/pip`) || (await run("python3", ["-m", "venv", venv])).ok;
    const pip = ["install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    let installed = false;
    for (const source of made ? sources : []) {
      installed ||= (await run(`${venv}/bin/pip`, [...pip, ...source], { show: true, timeout: 10 * minutes }))
        .ok;
    }
    if (installed) writeStamp(stamp, inputs);
    else console.warn(`! not installed; ${what}`);
  });
}
