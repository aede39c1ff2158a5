"""Every process ends at a SIGTERM during its start, also as a container's first process.

The kernel discards a signal without a handler for the first process of a process namespace.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from openvenue.first_process import STATUS

PYTHON = sys.executable
FIRST_OF_ITS_NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]
if os.geteuid() != 0:
    FIRST_OF_ITS_NAMESPACE += ["--user", "--map-root-user"]
SECRET = ["--admin", "x"]
WITHIN_S = 60.0


@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, "-m", "openvenue.server"],
        [PYTHON, "-m", "openvenue.projector"],
        [str(Path(PYTHON).parent / "openvenue"), "migrate"],
        [PYTHON, "-m", "openvenue_operator"],
        [PYTHON, "-m", "openvenue_operator.generated_secrets", *SECRET],
    ],
    ids=["api", "projector", "migration", "operator", "generated_secrets"],
)
def test_it_ends_while_it_starts(command: list[str], tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "OPENVENUE_DATABASE_URL": f"postgresql:///nothing?host={tmp_path}",
        "OPENVENUE_API_PORT": "0",
        "KUBECONFIG": str(tmp_path / "nothing"),
    }
    with subprocess.Popen([*FIRST_OF_ITS_NAMESPACE, *command], env=environment) as outer:
        try:
            deadline = time.monotonic() + WITHIN_S
            # Signals before Python runs are lost. A process that handled them only once it had
            # started would end with another status.
            while outer.poll() is None:
                assert time.monotonic() < deadline, "it did not end"
                for first in children(outer.pid):
                    os.kill(first, signal.SIGTERM)
                time.sleep(0.01)
        finally:
            outer.kill()
    assert outer.returncode == STATUS


def test_a_package_that_is_imported_sets_no_handler() -> None:
    imported = "import signal, openvenue.cli.main, openvenue_operator.cli; "
    imported += "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    command = [*FIRST_OF_ITS_NAMESPACE, PYTHON, "-c", imported]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []
