"""Every command in the README and the docs runs as written.

Fenced blocks tagged `sh` are commands and blocks tagged `python` are programs. Those of one
document run in one shell, in order, from the project's root, against a venue of the tests' own.
Blocks with another tag are output. Commands that cannot run inside a test are named here with
where they run instead.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.issuer import Issuer

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "charts").rglob("README.md")),
]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
START_TIMEOUT_S = 60.0

# Whole blocks that run elsewhere.
RUN_ELSEWHERE = {
    'eval "$(openvenue keys env --account bob)"\n'
    "python docs/examples/bot.py AAPL 60\n": "test_bot.py",
    "openvenue up --market --market-day AMZN_2012-06-21_34200000_57600000_message_1.csv "
    "--market-day-speed 2\n": "test_market_day.py",
    "make test\n": "this suite is part of it",
    "make run\n": "test_make_run.py",
    "make images\n": "tests/images",
    "make sbom\n": "tests/images/test_sbom.py",
}


def script(document: Path) -> str:
    """Return the document's commands as one shell script, empty if it has none."""
    parts = []
    for language, code in BLOCK.findall(document.read_text()):
        if code in RUN_ELSEWHERE:
            continue
        parts.append(f"python - <<'END_OF_PROGRAM'\n{code}END_OF_PROGRAM\n")
        if language == "sh":
            parts[-1] = code
    return "".join(parts)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Yield the issuer of the venue's tokens."""
    with Issuer().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Path]:
    """Yield the data directory of a running venue."""
    directory = tmp_path_factory.mktemp("documented")
    command = ["openvenue", "up", "--data-dir", str(directory), "--workers", "1"]
    command += ["--port", "0", "--engine-port", "0", "--admin"]
    environment = {**os.environ, **issuer.environment()}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as up:
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not (directory / "venue.json").exists():
                assert up.poll() is None, f"the venue did not start; see {directory / 'logs'}"
                assert time.monotonic() < deadline, "the venue did not come up in time"
                time.sleep(0.1)
            yield directory
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


@pytest.mark.parametrize(
    "document",
    [document for document in DOCUMENTS if script(document)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_commands_of_the_document_run_as_written(
    document: Path, data_dir: Path, issuer: Issuer
) -> None:
    token = issuer.token(1).token  # As its client got it from the issuer.
    result = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + script(document)],
        cwd=ROOT,
        env={**os.environ, "OPENVENUE_DATA_DIR": str(data_dir), "ACCESS_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


def test_every_exception_is_still_documented() -> None:
    documented = {code for path in DOCUMENTS for _, code in BLOCK.findall(path.read_text())}
    assert set(RUN_ELSEWHERE) <= documented


def test_every_target_of_the_makefile_that_the_docs_name_exists() -> None:
    named = {
        target for path in DOCUMENTS for target in re.findall(r"`make ([a-z-]+)", path.read_text())
    }
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"
