/** The add-on's side of open datasets, for the package's own modules. */

import type { DatasetHandle } from "../native/datasets.ts";
import { QuiverError } from "../shared/errors.ts";

export const handles: WeakMap<object, DatasetHandle> = new WeakMap();

export function handleOf(dataset: object): DatasetHandle {
  const handle = handles.get(dataset);
  if (handle === undefined) throw new QuiverError("ERR_QUIVER_BAD_VALUE", "this is no open dataset");
  return handle;
}
