"""joblib.Memory: a memoised function, a folder a call. A look-up is a call whose result is there."""

import joblib

_values: dict[str, bytes] = {}


def produce(key: str) -> bytes:
    return _values[key]


class Peer:
    package = "joblib"
    layout = "a file an entry"
    durability = {"process": "write, rename; a set calls the function anew"}

    def __init__(self, folder: str) -> None:
        self._function = joblib.Memory(folder, verbose=0).cache(produce)
        # Only a plain call records the function's code, without which nothing counts as cached.
        _values[""] = b""
        self._function("")

    def set(self, key: str, value: bytes) -> None:
        _values[key] = value
        self._function.call(key)

    def set_many(self, pairs) -> None:
        for key, value in pairs:
            self.set(key, value)

    def get(self, key: str):
        return self._function(key) if self._function.check_call_in_cache(key) else None

    def close(self) -> None:
        pass
