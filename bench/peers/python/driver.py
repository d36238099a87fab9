"""One process of one Python peer: takes a job as its argument, does the steps, prints the answer as a line of JSON."""

import importlib
import json
import sys
from importlib.metadata import version

import blobs
import tables
from page_cache import bring_into_memory

OPERATIONS = {"blobs": blobs.OPERATIONS, "first": blobs.OPERATIONS, "tables": tables.OPERATIONS}


def work(job: dict) -> dict:
    module = job["peer"].replace(" ", "_")
    peer = importlib.import_module(f"adapters.{module}").Peer(job["folder"])
    figures, seen = [], []
    for step in job["steps"]:
        if step.get("inMemory"):
            bring_into_memory(job["folder"])
        outcome = OPERATIONS[job["workload"]][step["op"]](peer, step) or {}
        figures += outcome.get("figures", [])
        seen += outcome.get("seen", [])
    peer.close()
    return {
        "figures": figures,
        "seen": seen,
        "layout": peer.layout,
        "durability": peer.durability,
        "version": version(peer.package) if peer.package else "",
    }


if __name__ == "__main__":
    print(json.dumps(work(json.loads(sys.argv[1]))))
