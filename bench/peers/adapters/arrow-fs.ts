/** apache-arrow for JavaScript over a file that is read whole: rows as a column of lists of fixed size. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Table as ArrowTable,
  Field,
  type FixedSizeList,
  Float32,
  FixedSizeList as ListType,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  tableFromIPC,
  tableToIPC,
} from "arrow-latest";
import type { Peer, Table, Tables } from "../contract.ts";
import { arrayTable } from "./array-table.ts";

function tables(home: string): Tables {
  const folder = join(home, "arrow");
  mkdirSync(folder, { recursive: true });
  return {
    store: (name, values, columns) => {
      const list = new ListType(columns, new Field("item", new Float32(), false));
      const item = makeData({ type: new Float32(), length: values.length, nullCount: 0, data: values });
      const length = values.length / columns;
      const column = makeData({ type: list, length, nullCount: 0, child: item });
      const schema = new Schema([new Field("vector", list, false)]);
      const rows = makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: [column] });
      const table = new ArrowTable(schema, [new RecordBatch(schema, rows)]);
      writeFileSync(join(folder, name), tableToIPC(table, "file"));
    },
    open: (name, columns): Table => {
      const table = tableFromIPC(readFileSync(join(folder, name)));
      const [data] = table.getChildAt<FixedSizeList<Float32>>(0)?.data ?? [];
      const all = data?.children[0]?.values;
      if (!(all instanceof Float32Array)) throw new Error(`${name} isn't a column of float32`);
      return arrayTable(all, columns);
    },
    close: () => undefined,
  };
}

export const arrowFs: Peer = {
  name: "arrow, fs",
  package: "arrow-latest",
  layout: "columns",
  durability: { process: "written in place" },
  tables,
};
