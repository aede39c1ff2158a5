"""`scripts/run-tests` forgives a test that fails beside others and passes alone, three times."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each test counts its runs in a file, and fails in those of FAILING.
TEST = """
from pathlib import Path

def test_{name}():
    runs = Path("{name}.runs")
    run = len(runs.read_text()) + 1 if runs.exists() else 1
    runs.write_text("x" * run)
    assert run not in {failing}
"""


def run_tests(place: Path, *failing: set[int]) -> subprocess.CompletedProcess[str]:
    for number, runs in enumerate(failing):
        text = TEST.format(name=f"t{number}", failing=runs or "()")
        (place / f"test_t{number}.py").write_text(text)
    return subprocess.run(
        [sys.executable, ROOT / "scripts/run-tests", "--rootdir", str(place), str(place)],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_test_that_failed_once_is_named_and_forgiven(tmp_path: Path) -> None:
    result = run_tests(tmp_path, {1}, set())
    assert result.returncode == 0, result.stdout
    ending = result.stdout.partition("passed three times alone:")[2]
    assert [line.strip() for line in ending.splitlines() if line] == ["test_t0.py::test_t0"]
    # The other did not run again.
    assert len((tmp_path / "t1.runs").read_text()) == 1


@pytest.mark.parametrize("failing", [{1, 2}, {1, 3}, {1, 4}])
def test_a_test_that_fails_alone_too_has_failed(tmp_path: Path, failing: set[int]) -> None:
    assert run_tests(tmp_path, failing).returncode == 1


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    assert run_tests(tmp_path, {1}, {1}, {1}, {1}).returncode == 1
    assert len((tmp_path / "t0.runs").read_text()) == 1


def test_what_is_no_failed_test_is_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name")
    assert run_tests(tmp_path, {1}).returncode == 2
