"""Every command in the README and the docs runs as written.

Fenced blocks tagged `sh` are commands. Those of one document run in one shell, in order, from the project's
root, against a venue that is up with its data in a directory of the test's own. A block tagged `text` or
`json` is output. Commands that cannot run inside the test suite are listed with where they run instead.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Command (as written) → where it runs instead.
RUN_ELSEWHERE = {
    "make test": "this suite is what it runs",
    "make run": "tests/docs/test_make_run.py",
    "make lint": ".ci/run",
    "make test-sanitizers": ".ci/run",
    "make soak": "the long form of tests that run here in short",
    "make bench": "tests/bench runs its parts with small numbers",
    "sudo apt-get install -y git make": "changes the machine; .ci/run installs make the same way",
}


def commands(document: Path) -> list[str]:
    """The command lines of a document, continuation lines joined, comments dropped."""
    lines: list[str] = []
    for block in FENCE.findall(document.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            stripped = line.strip()
            if stripped and not stripped.startswith("#"):
                lines.append(stripped)
    return lines


def runnable(document: Path) -> list[str]:
    return [line for line in commands(document) if line not in RUN_ELSEWHERE]


@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if runnable(d)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_commands_of_the_document_run_as_written(document: Path, documented_venue: Path) -> None:
    script = "set -euo pipefail\n" + "\n".join(runnable(document))
    environment = {
        **os.environ,
        "OPENVENUE_DATA_DIR": str(documented_venue),
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
    }
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


def test_every_exception_is_still_documented() -> None:
    documented = {line for document in DOCUMENTS for line in commands(document)}
    assert set(RUN_ELSEWHERE) <= documented
