/**
 * Stamps tell whether something built is still what its inputs would give. A stamp lies inside the folder that it
 * vouches for, so that deleting the folder deletes the claim. Inputs are compared by content: a checkout that
 * only changes file times rebuilds nothing.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { root } from "./paths.mjs";

/** Files below the given files and folders, absolute and sorted; absent ones are left out. */
export function filesUnder(paths) {
  const files = [];
  const visit = (path) => {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts?.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else if (facts?.isFile()) files.push(path);
  };
  for (const path of paths) visit(path);
  return files.sort();
}

/** A digest over the names and contents of files, and over further texts that the result depends on. */
export function fingerprint(files, ...texts) {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:${text}`);
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(`${relative(root, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** Whether the stamp at `path` says `value`. */
export function stampIs(path, value) {
  try {
    return readFileSync(path, "utf8").trim() === value;
  } catch {
    return false;
  }
}

/** Writes the stamp; only after everything that it vouches for is in place. */
export function writeStamp(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${value}\n`);
}
