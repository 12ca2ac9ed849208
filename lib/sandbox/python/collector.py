"""What of Python's garbage collector leads from anything to everything, taken out of Python."""

import ctypes
import gc
import sys


class Method(ctypes.Structure):
    """An entry of the table in C that a module's functions are made of (PyMethodDef)."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    ]


def close():
    """Removes `get_objects`, `get_referrers` and `get_referents` from gc, and from the table that a new
    import, or another interpreter, would make them of: a harmless function takes their places."""
    harmless = method("isenabled")
    for name in ("get_objects", "get_referrers", "get_referents"):
        ctypes.memmove(ctypes.byref(method(name)), ctypes.byref(harmless), ctypes.sizeof(Method))
        delattr(gc, name)


def method(name):
    if sys.implementation.name != "cpython":
        raise OSError(f"programs need CPython, and this is {sys.implementation.name}")
    place = id(getattr(gc, name)) + object.__basicsize__
    found = Method.from_address(ctypes.c_void_p.from_address(place).value)
    if found.name != name.encode():
        raise OSError(f"gc.{name} is not made as in any Python that is known")
    return found
