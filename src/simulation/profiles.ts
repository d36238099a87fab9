/** State profiles: what a running simulation has to remember to go on as if it had never stopped. */

import type { EntryInfo, Namespace } from "../cache/namespace.ts";
import type { SetOptions } from "../cache/writer.ts";
import { checkObject } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { checkNamespace } from "./arguments.ts";

/** Arrays and numbers by name. */
export type StateProfile = Readonly<Record<string, Tensor | number>>;

/**
 * The state as named tensors, numbers as float64 tensors without axes; what recipes return and `saveProfile` stores.
 * Throws ERR_QUIVER_BAD_VALUE for a part that is neither, and without parts.
 */
export function packProfile(state: StateProfile): Record<string, Tensor> {
  checkObject("a state profile", state);
  const parts = Object.entries(state).map(([name, part]): [string, Tensor] => {
    if (typeof part === "number") return [name, new Tensor(Float64Array.of(part), [])];
    if (part instanceof Tensor) return [name, part];
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", `"${name}" is neither a Tensor nor a number`, {
      hint: "A state profile holds arrays and numbers.",
      fix: "Wrap typed arrays: new Tensor(array, shape).",
    });
  });
  if (parts.length === 0) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "a state profile needs at least one part", {
      hint: "There would be nothing to restore.",
      fix: "Name the arrays and numbers that the simulation's next steps depend on.",
    });
  }
  return Object.fromEntries(parts);
}

/**
 * Stores a state as one npz file, from which `numpy.load` gives every part under its name. All bits survive, those
 * of -0 and of NaN payloads in arrays too. The arrays are taken as they are at the time of the call; the simulation
 * may go on at once. Rejects with ERR_QUIVER_BAD_VALUE for a state without parts or with others.
 */
export async function saveProfile(
  profiles: Namespace,
  key: string,
  state: StateProfile,
  options: SetOptions = {},
): Promise<EntryInfo> {
  checkNamespace("profiles", profiles);
  return profiles.set(key, packProfile(state), { ...options, codec: "npz" });
}

/**
 * The state stored under a key, undefined when there is none. Arrays are the caller's own copies, to go on computing
 * in; float64 arrays without axes come back as numbers. Rejects with ERR_QUIVER_BAD_VALUE when the entry is no state profile.
 */
export async function loadProfile(profiles: Namespace, key: string): Promise<StateProfile | undefined> {
  checkNamespace("profiles", profiles);
  const stored = await profiles.get(key);
  if (stored === undefined) return undefined;
  // An archive whose only member is named `data` reads as that member.
  const parts = stored instanceof Tensor ? { data: stored } : (stored ?? {});
  const state: [string, Tensor | number][] = [];
  for (const [name, part] of Object.entries(parts)) {
    if (!(part instanceof Tensor)) throw notAProfile(key, name);
    await part.ready();
    const isNumber = part.dtype === "float64" && part.shape.length === 0;
    state.push([name, isNumber ? (part.at() as number) : copyOf(part)]);
  }
  if (state.length === 0) throw notAProfile(key, "its value");
  return Object.fromEntries(state);
}

function copyOf(tensor: Tensor): Tensor {
  return new Tensor(tensor.data.slice(), tensor.shape, { dtype: tensor.dtype });
}

function notAProfile(key: string, what: string): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `the entry is no state profile: ${what} is not an array`, {
    key,
    hint: "It was stored by other means than saveProfile.",
    fix: "Read it with get().",
  });
}
