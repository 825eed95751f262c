# SPDX-License-Identifier: GPL-2.0
"""Modules and devices for tests that load, bind and unbind very often, or that must do so in one
process: in an emulated machine each program that is started takes a tenth of a second and more."""

import ctypes
import glob
import os

libc = ctypes.CDLL(None, use_errno=True)
DEBUGFS = "/sys/kernel/debug/"


def image(name):
    """What is in a module's file."""
    (path,) = glob.glob(os.environ["KO"] + f"/**/{name}.ko", recursive=True)
    with open(path, "rb") as file:
        return file.read()


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def load(module, parameters=""):
    """insmod, of an image."""
    checked(libc.init_module(module, ctypes.c_ulong(len(module)), parameters.encode()))


def unload(name):
    """rmmod"""
    checked(libc.delete_module(name.encode(), os.O_NONBLOCK))


def write(path, text):
    """Write it, in one piece and with one open file."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def read(path):
    with open(path) as file:
        return file.read()


def bound(driver):
    """The addresses of a PCI driver's devices."""
    return sorted(map(os.path.basename, glob.glob(f"/sys/bus/pci/drivers/{driver}/0000:*")))


def threads(prefix):
    """The names of the kernel's threads that begin so."""
    names = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            names.append(read(path).strip())
        except OSError:
            pass  # It has ended.
    return [name for name in names if name.startswith(prefix)]
