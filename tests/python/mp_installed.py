# SPDX-License-Identifier: Apache-2.0
"""A program that uses multiprocessing: whose classes has it?"""
import multiprocessing
import multiprocessing.pool


def classes(who):
    with multiprocessing.Pool(1) as pool:
        found = [multiprocessing.Queue(), multiprocessing.JoinableQueue(),
                 multiprocessing.SimpleQueue(), pool]
        return who + ": " + " ".join(type(each).__module__ for each in found)


def child(queue):
    queue.put(classes("child"))


def main(method):
    multiprocessing.set_start_method(method)
    print(classes("main"))
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=child, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    with multiprocessing.pool.ThreadPool(1) as pool:
        print(pool.apply(classes, ("in a pool",)))
