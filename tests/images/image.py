"""An image on disk, and containers of it that run as under the kubelet.

Containers get a read-only root, no capabilities, the image's own user and their own network, which
others can share as in a pod. Buildah mounts the image, runc runs it.
"""

import json
import os
import stat
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

RUN_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Image:
    """An image in buildah's storage, mounted."""

    name: str
    root: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The image's config, in the OCI specification's sense."""
        shown = _output("buildah", "inspect", "--type", "image", self.name)
        config: dict[str, Any] = json.loads(shown)["OCIv1"]["config"]
        return config

    @cached_property
    def files(self) -> dict[str, os.stat_result]:
        """Every file in it by path, without directories."""
        return {
            str(path.relative_to(self.root)): path.lstat()
            for path in self.root.rglob("*")
            if not path.is_dir() or path.is_symlink()
        }

    @property
    def size_mb(self) -> float:
        """Size of its files, hard links counted once."""
        sizes = {status.st_ino: status.st_size for status in self.files.values()}
        return sum(sizes.values()) / 1e6

    def added_to(self, base: "Image") -> set[str]:
        """Return the paths of the files that the base image lacks."""
        return self.files.keys() - base.files.keys()

    @property
    def privileged_files(self) -> set[str]:
        """Files that run with their owner's rights."""
        return {
            path
            for path, status in self.files.items()
            if status.st_mode & (stat.S_ISUID | stat.S_ISGID)
            or (stat.S_ISREG(status.st_mode) and _has_capabilities(self.root / path))
        }


def _has_capabilities(path: Path) -> bool:
    return "security.capability" in os.listxattr(path, follow_symlinks=False)


@contextmanager
def mounted(name: str) -> Iterator[Image]:
    """Mount an image."""
    container = _output("buildah", "from", "--pull-never", name).strip()
    try:
        yield Image(name, Path(_output("buildah", "mount", container).strip()))
    finally:
        _output("buildah", "rm", container)


class Container:
    """A running container."""

    pid: int

    def __init__(
        self,
        image: Image,
        directory: Path,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[str, Path] | None = None,
        user: int | None = None,
        network_of: "Container | None" = None,
    ) -> None:
        directory.mkdir()
        self._stdout, self._stderr = directory / "stdout", directory / "stderr"
        self._stop_signal = image.config["StopSignal"]
        # Its control group also has this name, beside those of all other containers.
        self._name = f"openvenue-test-{uuid.uuid4()}"
        self._runc = ["runc", "--root", str(directory / "state"), "--log", str(directory / "runc")]
        _output("runc", "spec", "--bundle", str(directory))
        specification = directory / "config.json"
        spec = json.loads(specification.read_text())
        _configure(spec, image, command, environment or {}, volumes or {}, user)
        if network_of is not None:
            network = {"type": "network", "path": f"/proc/{network_of.pid}/ns/net"}
            others = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
            spec["linux"]["namespaces"] = [*others, network]
        specification.write_text(json.dumps(spec))
        pid_file = directory / "pid"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*self._runc, "run", "--bundle", directory, "--pid-file", pid_file, self._name],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        # Before that there is no process to signal, and no network to share.
        while not pid_file.exists() or not pid_file.read_text():
            assert self.is_running, self.errors
            time.sleep(0.01)
        self.pid = int(pid_file.read_text())

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._stdout.read_text()

    @property
    def errors(self) -> str:
        """Its standard error so far."""
        return self._stderr.read_text()

    @property
    def is_running(self) -> bool:
        """True if it has not ended."""
        return self._process.poll() is None

    def wait(self, timeout_s: float = RUN_TIMEOUT_S) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """Send it the image's stop signal, wait for its end and return its exit status."""
        self._kill(self._stop_signal)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._kill("SIGKILL")
            self._process.wait()
            raise

    def _kill(self, signal: str) -> None:
        if self.is_running:
            command = [*self._runc, "kill", self._name, signal]
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


class Pod:
    """Containers that share a network, and end with the block that made them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._containers: list[Container] = []

    def start(self, image: Image, *command: str, **options: Any) -> Container:
        """Start a container beside the others."""
        running = next((one for one in self._containers if one.is_running), None)
        directory = self._directory / f"container-{len(self._containers)}"
        made = Container(image, directory, command, network_of=running, **options)
        self._containers.append(made)
        return made

    def run(self, image: Image, *command: str, **options: Any) -> str:
        """Run a container to its end, which must have status 0, and return its output."""
        done = self.start(image, *command, **options)
        status = done.wait()
        assert status == 0, f"{' '.join(command)} ended with {status}:\n{done.errors}"
        return done.output

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for container in self._containers:
                stack.callback(container.stop)


def _configure(
    spec: dict[str, Any],
    image: Image,
    command: Sequence[str],
    environment: Mapping[str, str],
    volumes: Mapping[str, Path],
    chosen_user: int | None,
) -> None:
    """Change the proposal of `runc spec` into a pod's under the restricted profile.

    The user is the image's own, unless another one of its group is given.
    """
    config = image.config
    user, group = (int(part) for part in config["User"].split(":"))
    user = user if chosen_user is None else chosen_user
    process = spec["process"]
    process["terminal"] = False
    process["user"] = {"uid": user, "gid": group}
    process["args"] = config.get("Entrypoint", []) + (list(command) or config.get("Cmd", []))
    process["env"] = config["Env"] + [f"{name}={value}" for name, value in environment.items()]
    process["cwd"] = config.get("WorkingDir") or "/"
    process["capabilities"] = {}
    process["noNewPrivileges"] = True
    process.pop("rlimits", None)
    spec["root"] = {"path": str(image.root), "readonly": True}
    spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    for target, source in volumes.items():
        source.mkdir(exist_ok=True)
        os.chown(source, user, group)
        volume = {"destination": target, "type": "bind", "source": str(source)}
        spec["mounts"].append({**volume, "options": ["rbind", "rw"]})


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
