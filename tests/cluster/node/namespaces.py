"""The node's namespaces, and its link to the host.

One process, `pause`, is the first of a process namespace and holds the others open. Ending it ends
every process inside; the mounts and the network go with the last one.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.node.layout import (
    BIN,
    HOST_IP,
    LINK_NET,
    LOGS,
    NAME,
    NODE_IP,
    POD_NET,
    SERVICE_NET,
    STATE,
    NodeError,
)

_HOLDER_FILE = STATE / "holder.pid"
_HOST_LINK = f"{NAME}0"
# Programs write to these fixed paths; inside, they are folders of the state directory.
_FIXED_DIRS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/var/log/containers"))
_CGROUPS = Path("/sys/fs/cgroup")
_PREFIX_LENGTH = LINK_NET.split("/")[1]


def holder() -> int | None:
    """Return the process id of the namespaces' first process, None if there is none."""
    try:
        pid = int(_HOLDER_FILE.read_text())
        if Path(os.readlink(f"/proc/{pid}/exe")).name == "pause":
            return pid
    except (OSError, ValueError):
        pass
    return None


def create() -> None:
    """Make the namespaces, link them to the host, and prepare their mounts."""
    if Path(f"/sys/class/net/{_HOST_LINK}").exists():
        raise NodeError(
            "a node of another checkout is up here: end it there with `make cluster-down`"
        )
    unshare = subprocess.Popen(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", str(BIN / "pause")],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(LOGS / "namespaces.log").open("wb"),
    )
    pid = _only_child(unshare)
    _HOLDER_FILE.write_text(f"{pid}\n")
    _link(pid)
    inside("mount", "-t", "tmpfs", "tmpfs", "/run")
    for directory in _FIXED_DIRS:
        directory.mkdir(exist_ok=True)
        own = STATE / directory.name
        own.mkdir()
        inside("mount", "--bind", str(own), str(directory))
    inside("mount", "--make-rshared", "/")
    for controller in _CGROUPS.iterdir():
        if controller.is_dir():
            (controller / NAME).mkdir(exist_ok=True)
    _prepare_cpuset()


def entering(*command: str) -> list[str]:
    """Return the command line that runs `command` inside. Raises NodeError without a node."""
    pid = holder()
    if pid is None:
        raise NodeError("there is no node: start one with `make cluster-up`")
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--", *command]


def inside(*command: str) -> None:
    """Run a short command inside. Raises NodeError if it fails."""
    done = subprocess.run(entering(*command), capture_output=True, text=True)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)}: {done.stderr.strip()}")


def remove() -> None:
    """End every process inside and remove the rest outside, if this checkout has a node.

    The link to the host goes with the network namespace.
    """
    if not STATE.exists():
        return
    pid = holder()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the node's processes do not end")
    for controller in _CGROUPS.iterdir():
        _remove_cgroup(controller / NAME)
    for directory in _FIXED_DIRS:
        if directory.exists() and not any(directory.iterdir()):
            directory.rmdir()
    shutil.rmtree(STATE, ignore_errors=True)


def left_behind() -> list[Path]:
    """Return the node's remains outside of its namespaces: nothing, after `remove`."""
    groups = [controller / NAME for controller in _CGROUPS.iterdir()]
    link = Path(f"/sys/class/net/{_HOST_LINK}")
    return [path for path in (*groups, link, STATE, *_FIXED_DIRS) if path.exists()]


def _only_child(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found: list[str] = []

    def has_child() -> bool:
        if process.poll() is not None:
            raise NodeError(
                "cannot make namespaces (root is needed): "
                + (LOGS / "namespaces.log").read_text().strip()
            )
        found[:] = children.read_text().split()
        # The process is still unshare until it has become the program.
        return bool(found) and os.readlink(f"/proc/{found[0]}/exe").endswith("/pause")

    _wait_until(has_child, "the namespaces do not come up")
    return int(found[0])


def _link(pid: int) -> None:
    for command in (
        f"ip link add {_HOST_LINK} type veth peer name eth0 netns {pid}",
        f"ip address add {HOST_IP}/{_PREFIX_LENGTH} dev {_HOST_LINK}",
        f"ip link set {_HOST_LINK} up",
        f"ip route add {POD_NET} via {NODE_IP} dev {_HOST_LINK} onlink",
        f"ip route add {SERVICE_NET} via {NODE_IP} dev {_HOST_LINK} onlink",
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if done.returncode != 0:
            raise NodeError(f"{command}: {done.stderr.strip()}")
    inside("ip", "link", "set", "lo", "up")
    inside("ip", "address", "add", f"{NODE_IP}/{_PREFIX_LENGTH}", "dev", "eth0")
    inside("ip", "link", "set", "eth0", "up")
    # Programs that look for a machine's address take that of its default route.
    inside("ip", "route", "add", "default", "via", HOST_IP)
    inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def _prepare_cpuset() -> None:
    """Give the node's cpuset group of cgroup v1 its processors: it begins with none."""
    group = _CGROUPS / "cpuset" / NAME
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / name).exists():
            (group / name).write_text((group.parent / name).read_text())


def _remove_cgroup(group: Path) -> None:
    if not group.is_dir():
        return
    for child in group.iterdir():
        if child.is_dir():
            _remove_cgroup(child)

    def removed() -> bool:
        with contextlib.suppress(OSError):  # Its last process is still ending.
            group.rmdir()
        return not group.exists()

    _wait_until(removed, f"{group} does not go")


def _wait_until(condition: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise NodeError(problem)
        time.sleep(0.02)
