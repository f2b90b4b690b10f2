# SPDX-License-Identifier: Apache-2.0
"""Puts semundo beneath multiprocessing in every process of an environment: its file .pth
imports this. Nothing of multiprocessing is loaded before the program asks for it."""
import importlib.util
import sys


def semlock():
    """Under multiprocessing's own classes."""
    import _multiprocessing
    from semundo import _ext
    _multiprocessing.SemLock = _ext.SemLock
    _multiprocessing.sem_unlink = _ext.sem_unlink


class _Loader:
    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        from semundo.multiprocessing import install as install_now
        install_now()


class _Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "multiprocessing":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        spec.loader = _Loader(spec.loader)
        return spec


def install():
    """semundo.multiprocessing.install(), as soon as multiprocessing is there."""
    sys.meta_path.insert(0, _Finder)
