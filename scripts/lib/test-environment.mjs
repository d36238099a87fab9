/**
 * What only tests need: real NumPy and real FFTW to compare with, a real Redis to talk to, a folder mounted through
 * FUSE. Nothing here is fatal; a test whose counterpart is absent is skipped and counted.
 */

import { existsSync, statfsSync } from "node:fs";
import { inRoot } from "./paths.mjs";
import { run } from "./process.mjs";
import { installPythonPackages } from "./python.mjs";
import { step } from "./report.mjs";

const minutes = 60_000;

const debianPackages = [
  { name: "python3-venv", present: async () => (await run("python3", ["-c", "import ensurepip"])).ok },
  { name: "redis-server", present: async () => (await run("redis-server", ["--version"])).ok },
  { name: "bindfs", present: async () => (await run("bindfs", ["--version"])).ok },
  { name: "libfftw3-dev", present: async () => existsSync("/usr/include/fftw3.h") },
];

async function installDebianPackages() {
  const isDebian = existsSync("/usr/bin/apt-get") && process.getuid?.() === 0;
  if (!isDebian) return;
  const presence = await Promise.all(debianPackages.map(({ present }) => present()));
  const missing = debianPackages.filter((_, index) => !presence[index]).map(({ name }) => name);
  if (missing.length === 0) return;
  await step(`Debian packages for tests: ${missing.join(", ")}`, async () => {
    const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, timeout: 5 * minutes };
    await run("apt-get", ["update", "-q"], options);
    const { ok } = await run(
      "apt-get",
      ["install", "-q", "-y", "--no-install-recommends", ...missing],
      options,
    );
    if (!ok) console.warn("! not installed; the tests that need them are skipped");
  });
}

/** Bytes that PyTorch takes where only its build for graphics cards is to be had, with pip's copy of it. */
const TORCH_ROOM = 12 * 2 ** 30;

/** Its own source has a build without graphics cards, a tenth as large; PyPI has the other one. */
const torchSources = [
  ["--index-url", "https://download.pytorch.org/whl/cpu", "--timeout", "5", "--retries", "0"],
  [],
];

/** Real PyTorch, in an environment of its own. It takes minutes, so only where it is asked for. */
async function installTorch() {
  if (process.env.QUIVER_TORCH !== "1") return;
  const { bavail, bsize } = statfsSync(inRoot("."));
  if (bavail * bsize < TORCH_ROOM && !existsSync(inRoot(".venv/torch"))) {
    console.warn("! PyTorch needs 12 GB of free disk; the tests against it are skipped");
    return;
  }
  await installPythonPackages({
    title: "PyTorch for tests (.venv/torch)",
    requirements: inRoot("scripts/requirements-torch.txt"),
    venv: inRoot(".venv/torch"),
    what: "the tests against PyTorch are skipped",
    sources: torchSources,
  });
}

/** Older releases of datasets by their first number, each in an environment of its own; only where they are asked for. */
async function installOldDatasets() {
  if (process.env.QUIVER_OLD_DATASETS !== "1") return;
  for (const release of [2, 3, 4]) {
    await installPythonPackages({
      title: `datasets ${release} for tests (.venv/datasets-${release})`,
      requirements: inRoot(`scripts/requirements-datasets-${release}.txt`),
      venv: inRoot(`.venv/datasets-${release}`),
      what: `the tests against datasets ${release} are skipped`,
    });
  }
}

/** Installs what is missing, where the machine allows it. Needs the network only for what is missing. */
export async function prepareTestEnvironment() {
  await installDebianPackages();
  await installPythonPackages({
    title: "Python packages for tests (.venv)",
    requirements: inRoot("scripts/requirements-test.txt"),
    venv: inRoot(".venv"),
    what: "the tests against NumPy and FFTW are skipped",
  });
  await installTorch();
  await installOldDatasets();
}
