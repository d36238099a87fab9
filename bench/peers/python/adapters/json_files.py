"""A JSON text a key; bytes within it in base64."""

import base64
import json

from adapters.files import Files


class Peer(Files):
    def dumps(self, value: bytes) -> bytes:
        return json.dumps({"value": base64.b64encode(value).decode()}).encode()

    def loads(self, data: bytes) -> bytes:
        return base64.b64decode(json.loads(data)["value"])
