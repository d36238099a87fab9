"""pyarrow over a mapped Arrow file, rows as a column of lists of fixed size."""

from pathlib import Path

import numpy
import pyarrow

from adapters.arrays import ArrayTable, sync


class Peer:
    package = "pyarrow"
    layout = "columns"
    durability = {"full": "written in place, fsync"}

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def store(self, name: str, values: numpy.ndarray) -> None:
        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), values.shape[1])
        table = pyarrow.table({"vector": column})
        path = self._folder / f"{name}.arrow"
        with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        sync(path)

    def open(self, name: str, columns: int) -> ArrayTable:
        table = pyarrow.ipc.open_file(pyarrow.memory_map(str(self._folder / f"{name}.arrow"))).read_all()
        values = table.column("vector").chunk(0).flatten().to_numpy(zero_copy_only=True)
        return ArrayTable(values.reshape(-1, columns))

    def close(self) -> None:
        pass
