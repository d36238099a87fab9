"""A file a key, as people write it themselves: serialised, written beside, renamed."""

import os
from pathlib import Path


class Files:
    package = ""
    layout = "a file an entry"
    durability = {"process": "write, rename"}

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def dumps(self, value: bytes) -> bytes:
        raise NotImplementedError

    def loads(self, data: bytes) -> bytes:
        raise NotImplementedError

    def set(self, key: str, value: bytes) -> None:
        beside = self._folder / f"{key}.tmp"
        beside.write_bytes(self.dumps(value))
        os.replace(beside, self._folder / key)

    def set_many(self, pairs) -> None:
        for key, value in pairs:
            self.set(key, value)

    def get(self, key: str):
        try:
            return self.loads((self._folder / key).read_bytes())
        except FileNotFoundError:
            return None

    def close(self) -> None:
        pass
