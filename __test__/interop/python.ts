/** Runs the Python originals that interop tests compare with. */

import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";

/** The one that is asked for, the environments that the set-up script makes, else whatever python3 is there. */
const candidates: readonly string[] = [
  ...(process.env["QUIVER_TEST_PYTHON"] ? [process.env["QUIVER_TEST_PYTHON"]] : []),
  resolve(import.meta.dirname, "../../.venv/bin/python"),
  resolve(import.meta.dirname, "../../.venv/torch/bin/python"),
  "python3",
];

/** The first Python that has these modules; undefined when none does. */
export function findPython(...modules: readonly string[]): string | undefined {
  return candidates.find((python) => {
    if (python.includes("/") && !existsSync(python)) return false;
    try {
      execFileSync(python, ["-c", `import ${modules.join(", ")}`], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Runs a script with `input` as JSON in `sys.argv[1]`; resolves to the JSON that it prints. Rejects with what it
 * wrote to standard error.
 */
export async function runPython<T>(python: string, script: string, input: unknown): Promise<T> {
  const { stdout } = await promisify(execFile)(python, ["-c", script, JSON.stringify(input)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as T;
}
