"""A pickle a key."""

import pickle

from adapters.files import Files


class Peer(Files):
    def dumps(self, value: bytes) -> bytes:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)

    def loads(self, data: bytes) -> bytes:
        return pickle.loads(data)
