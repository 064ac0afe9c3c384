"""A server whose memory is bounded by the system: if it takes more, it ends."""

import contextlib
import os
import pathlib
import resource

import pytest
from conftest import serve

GROUPS = pathlib.Path("/sys/fs/cgroup")


@contextlib.contextmanager
def bounded_server(mib, *extra):
    """In a control group of this size; skipped where none may be made."""
    with control_group(mib) as group:
        with serve(*extra, at_start=lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) as server:
            yield server
            assert (pathlib.Path("/proc") / str(server.pid) / "statm").read_text(), "the server is alive"


@contextlib.contextmanager
def control_group(mib):
    name = f"proscenium-test-{os.getpid()}"
    for folder, limit in [(GROUPS / "memory", "memory.limit_in_bytes"), (GROUPS, "memory.max")]:
        group = folder / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(mib << 20))
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    pytest.skip("no control group with a memory limit may be made here: run as root with the memory controller")


@contextlib.contextmanager
def server_of_address_space(mib, *extra):
    """With an address space of this size (`ulimit -v`)."""
    size = mib << 20

    def at_start():
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    try:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (OSError, ValueError):
        pytest.skip("the address space of a process cannot be limited here")
    if hard not in (resource.RLIM_INFINITY, -1) and hard < size:
        pytest.skip("the address space of this process is limited already")
    with serve(*extra, at_start=at_start) as server:
        yield server
