# SPDX-License-Identifier: Apache-2.0
"""Two pages: /work takes until the runner says that it is done, /busy tells the counts."""
import json
import os
import socket

import counting


def work():
    """At the runner's gate: it sees who is there, and that is the truth."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect(os.path.join(counting.directory, "gate"))
        gate.recv(1)
    return "done"


def application(environ, start_response):
    pages = {"/work": work, "/busy": lambda: json.dumps(counting.busy())}
    page = pages.get(environ["PATH_INFO"])
    text = (page() if page else "no such page").encode("ascii")
    start_response("200 OK" if page else "404 Not Found",
                   [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
