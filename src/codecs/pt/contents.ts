/** What a nested value is made of. */

import { Tensor } from "../../tensor/tensor.ts";
import { isPlainObject } from "../values.ts";
import { containerFacts, PythonObject, Tuple } from "./python.ts";

/** The tensors anywhere in a value, each once, in the order in which they are written. */
export function tensorsIn(value: unknown): Set<Tensor> {
  const tensors = new Set<Tensor>();
  const seen = new Set<object>();
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (next instanceof Tensor) tensors.add(next);
    else if (typeof next === "object" && next !== null && !seen.has(next)) {
      seen.add(next);
      for (const member of membersOf(next).reverse()) pending.push(member);
    }
  }
  return tensors;
}

/** What a container holds, keys as well; nothing for anything else. */
function membersOf(value: object): unknown[] {
  const attributes = containerFacts(value)?.attributes;
  const more = attributes === undefined ? [] : [attributes];
  if (Array.isArray(value)) return [...value];
  if (value instanceof Tuple) return [...value.items];
  if (value instanceof Set) return [...value];
  if (value instanceof Map) return [...[...value].flat(), ...more];
  if (value instanceof PythonObject) return value.args === undefined ? [] : [value.args];
  return isPlainObject(value) ? [...Object.values(value), ...more] : [];
}

/** The tensors anywhere in a value with the way to them: `model.0.weight`. One that is there twice is listed once. */
export function namedTensors(value: unknown): [name: string, tensor: Tensor][] {
  const named: [string, Tensor][] = [];
  const seen = new Set<object>();
  const pending: [name: string, value: unknown][] = [["", value]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [name, part] = next;
    if (typeof part !== "object" || part === null || seen.has(part)) continue;
    seen.add(part);
    if (part instanceof Tensor) named.push([name, part]);
    for (const [key, member] of entriesOf(part).reverse()) {
      pending.push([name === "" ? key : `${name}.${key}`, member]);
    }
  }
  return named;
}

function entriesOf(value: object): [string, unknown][] {
  if (Array.isArray(value)) return value.map((item, i) => [String(i), item]);
  if (value instanceof Tuple) return value.items.map((item, i) => [String(i), item]);
  if (value instanceof Map) return [...value].map(([key, item]) => [String(key), item]);
  return isPlainObject(value) ? Object.entries(value) : [];
}
