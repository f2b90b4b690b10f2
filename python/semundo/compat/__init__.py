# SPDX-License-Identifier: Apache-2.0
"""Interfaces of other modules, for programs that were written for them.

posix_ipc   its Semaphore
sysv_ipc    its Semaphore

They do what those modules document. What those do against their documents, they
do not; see doc/python.md.
"""
