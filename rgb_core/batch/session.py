"""A connection to Ray: one of this machine that ends with the program, or a cluster that is there already."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError
from .manifest import Needs

_OBJECTS = 100 << 20  # bytes of Ray's object store: what travels through it are rows and records, never pictures
_TOKEN = Path.home() / ".ray" / "auth_token"
_PATIENCE = 5.0  # seconds for a connection
_FAST = {"OMP_WAIT_POLICY": "passive"}  # of workers, as the `rgb` command has it for itself


def ray() -> ModuleType:
    """The package.

    Raises:
        InputError: when it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing calls home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray as package
    except ImportError:
        raise InputError("rgb batch needs Ray: pip install 'rgb-avatar[batch]'") from None
    return package


def ray_for(address: str | None) -> ModuleType:
    """The package, imported so that it can prove to the head node at `address` who it is; see `ray`."""
    if address is not None and _TOKEN.is_file():  # a head node asks for it; who is not one has to be told so
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return ray()


@contextlib.contextmanager
def session(address: str | None, workers: int | None, threads: int, device: str) -> Iterator[bool]:
    """Be connected for as long as the block lasts; yields whether there are GPUs that stages may use.

    Args:
        address: of the head node of a cluster, as in `10.0.0.1:6379`; None starts Ray on this machine.
        workers: stages that this machine may run at once; None for as many as its cores allow.
        threads: cores of the stage that takes most.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: when the cluster does not answer.
    """
    package = ray_for(address)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        cores = (workers or max(1, _cores() // threads)) * threads
        gpus = 0 if device == "cpu" else None  # what Ray finds
        os.environ |= _FAST  # which workers inherit: they are ready before a runtime_env could be
        # "local": never a cluster that happens to run here, or that RAY_ADDRESS names.
        common |= {"address": "local", "num_cpus": cores, "num_gpus": gpus, "object_store_memory": _OBJECTS}
        common |= {"include_dashboard": False}
    else:
        if workers is not None:
            raise InputError("--workers is for this machine's own Ray; the cluster at --address knows its cores")
        common |= {"address": address, "runtime_env": {"env_vars": _FAST}}
    with _own_signals():
        try:
            package.init(**common)
        except Exception as error:  # its start has bare ones
            package.shutdown()
            raise InputError(f"Ray does not start or answer{f' at {address}' if address else ''}: {error}") from error
    _end_monitor(package)
    try:
        yield package.cluster_resources().get("GPU", 0) > 0 and device != "cpu"
    finally:
        package.shutdown()


def _end_monitor(package: ModuleType) -> None:
    """End the process that would ask for more machines, where this program started one: there are none to be had, and
    at the end of the run Ray would wait a second for it."""
    node = package._private.worker._global_node
    with contextlib.suppress(AttributeError):  # a later Ray may have none
        node.kill_monitor(check_alive=False)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let a request to end that comes while Ray waits pass as it is: Ray's compiled code wraps it into an error."""
    try:
        yield
    except SystemError as error:
        if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
            raise error.__cause__ from None
        raise


def check_alive() -> None:
    """Make sure that Ray's control store is there, for want of which Ray ends the whole program after a minute.

    Raises:
        InputError: when nobody listens where it was.
    """
    host, _, port = ray().get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except ConnectionRefusedError:
        raise InputError("Ray has ended; run the same command again to continue") from None
    except OSError:  # a machine that is slow or away may come back
        return


def check_room(needs: list[Needs]) -> None:
    """Make sure that some machine can run each stage.

    Raises:
        InputError: for the first that none can, which would wait for ever.
    """
    machines = [node["Resources"] for node in ray().nodes() if node["Alive"]]
    for need in needs:
        asked = {"CPU": need.cpus, "GPU": need.gpus, "memory": need.memory_gb * 1e9}
        if not any(all(has.get(key, 0) >= value for key, value in asked.items()) for has in machines):
            raise InputError(
                f"no machine has {need.cpus} cores, {need.gpus:g} of a GPU and {need.memory_gb:g} GB, which a stage "
                "asks for; change `needs` in the manifest, or --workers"
            )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes over the request to end; the program has its own answer to that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
