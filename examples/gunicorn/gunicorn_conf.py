# SPDX-License-Identifier: Apache-2.0
"""Configuration of gunicorn: hooks that count the busy workers."""
import counting

workers = counting.workers
timeout = 300  # a request of the example takes as long as its runner wants
graceful_timeout = 1  # a worker that is told to end as it begins may not hear it


def pre_request(worker, request):
    if request.path == "/work":
        counting.begin()


def post_request(worker, request, environ, response):
    if request.path == "/work":
        counting.end()


def on_exit(server):
    counting.remove()
