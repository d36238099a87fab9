/** LanceDB: a database of columns; rows by their position through its take query. */

import { createRequire } from "node:module";
import { join } from "node:path";
import { connect, type Table as LanceTable } from "@lancedb/lancedb";
import type * as Arrow from "apache-arrow";
import type { Peer, Table, Tables } from "../contract.ts";

// The copy of Arrow that LanceDB itself loads: the classes of the other module format aren't the same to it, and
// their tables arrive empty.
const {
  Field,
  FixedSizeList,
  Float32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table: ArrowTable,
} = createRequire(import.meta.url)("apache-arrow") as typeof Arrow;

async function tables(home: string): Promise<Tables> {
  const database = await connect(join(home, "lance"));
  return {
    store: async (name, values, columns) => {
      const list = new FixedSizeList(columns, new Field("item", new Float32(), true));
      const item = makeData({ type: new Float32(), length: values.length, nullCount: 0, data: values });
      const length = values.length / columns;
      const column = makeData({ type: list, length, nullCount: 0, child: item });
      const schema = new Schema([new Field("vector", list, true)]);
      const rows = makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [column] });
      const batch = new RecordBatch(schema, rows);
      await database.createTable(name, new ArrowTable(schema, [batch]), { mode: "overwrite" });
    },
    open: async (name, columns): Promise<Table> => {
      const table: LanceTable = await database.openTable(name);
      return {
        gather: async (rows) =>
          inOrder(rows, valuesOf(await table.takeOffsets([...rows]).toArrow()), columns),
        slice: async (start, end) =>
          valuesOf(
            await table
              .query()
              .offset(start)
              .limit(end - start)
              .toArrow(),
          ),
        all: async () => valuesOf(await table.query().toArrow()),
      };
    },
    close: () => database.close(),
  };
}

/** Rows come in ascending order of their numbers, whatever was asked for. */
function inOrder(rows: Uint32Array, ascending: Float32Array, columns: number): Float32Array {
  const out = new Float32Array(ascending.length);
  const ranks = [...rows.keys()].sort((a, b) => (rows[a] ?? 0) - (rows[b] ?? 0));
  ranks.forEach((index, rank) => {
    out.set(ascending.subarray(rank * columns, (rank + 1) * columns), index * columns);
  });
  return out;
}

/** The numbers of all batches, one after the other. */
function valuesOf(table: Arrow.Table): Float32Array {
  const parts = (table.getChild("vector")?.data ?? []).map((data) => {
    const values = data.children[0]?.values;
    if (!(values instanceof Float32Array)) throw new Error("the vectors aren't float32");
    const width = values.length / data.length;
    return values.subarray(0, data.length * width);
  });
  const [first = new Float32Array(), ...more] = parts;
  if (more.length === 0) return first;
  const out = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const lancedb: Peer = {
  name: "lancedb",
  package: "@lancedb/lancedb",
  layout: "columns",
  durability: { process: "object files, not synced" },
  tables,
};
