"""Which user a server that refuses root runs as; nothing here knows PostgreSQL.

Root drops to the owner of the existing files, else to `nobody`. That user may be unable to reach
them: a project cloned into a 0700 home folder, or a strict umask. Opening the ancestors to the
world would be the wrong cure, so the child then keeps one capability that lets it pass.
"""

import ctypes
import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECURE_NO_SETUID_FIXUP = 1 << 2


@dataclass(frozen=True)
class Identity:
    """A user to become; `passes_closed_folders` keeps CAP_DAC_OVERRIDE, and only that."""

    uid: int
    gid: int
    passes_closed_folders: bool = False


def unprivileged(owned: Path, *reached: Path) -> Identity | None:
    """Whom to become in order to own `owned` and reach `reached`; None for an ordinary user."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    user = Identity(nobody.pw_uid, nobody.pw_gid)
    if owned.exists() and owned.stat().st_uid != 0:
        user = Identity(owned.stat().st_uid, owned.stat().st_gid)
    closed = not all(_reaches(user, path) for path in (owned.parent, *reached))
    return Identity(user.uid, user.gid, closed and sys.platform == "linux")


def _reaches(user: Identity, path: Path) -> bool:
    return all(_may_pass(user, step) for step in (path, *path.resolve().parents))


def _may_pass(user: Identity, path: Path) -> bool:
    status = path.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def become(identity: Identity) -> None:
    """Changes the calling process to that user, for good; meant for the time before exec."""
    if identity.passes_closed_folders:
        # Otherwise access(2) would judge without the capability, and initdb asks it first.
        _prctl(_PR_SET_SECUREBITS, _SECURE_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(identity.gid)
    os.setuid(identity.uid)
    if identity.passes_closed_folders:
        _keep_only(1 << _CAP_DAC_OVERRIDE)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)


def _keep_only(mask: int) -> None:
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(mask, mask, mask), _Sets(0, 0, 0))
    if ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(header), ctypes.byref(sets)):
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, first: int, second: int = 0) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, first, second, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
