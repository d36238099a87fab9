/** A stored matrix that is one array of JavaScript's. */

import type { Table } from "../contract.ts";

export function arrayTable(all: Float32Array, columns: number): Table {
  const gatherInto = (rows: Uint32Array, out: Float32Array): Float32Array => {
    rows.forEach((row, index) => {
      out.set(all.subarray(row * columns, (row + 1) * columns), index * columns);
    });
    return out;
  };
  return {
    gather: (rows) => gatherInto(rows, new Float32Array(rows.length * columns)),
    gatherInto,
    slice: (start, end) => all.subarray(start * columns, end * columns),
    all: () => all,
  };
}
