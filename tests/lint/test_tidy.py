"""clang-tidy is not run again on what it found clean, and on everything else it is."""

import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIDY = ROOT / "scripts" / "tidy"
CLEAN = '#include "part.h"\nint main() { return part(); }\n'
HEADER = "inline int part() { return 0; }\n"
FAULTY = "int* const nothing = 0;\n"  # modernize-use-nullptr


class Project:
    """A directory with a source, a header and a compile command."""

    def __init__(self, directory: Path) -> None:
        self.source, self.header = directory / "main.cc", directory / "part.h"
        self._build, self._cache = directory / "build", directory / "cache"
        self._build.mkdir()
        shutil.copy(ROOT / ".clang-tidy", directory)
        self.source.write_text(CLEAN)
        self.header.write_text(HEADER)
        command = f"c++ -std=c++20 -o main.o -c {self.source}"
        entry = {"directory": str(self._build), "command": command, "file": str(self.source)}
        (self._build / "compile_commands.json").write_text(json.dumps([entry]))

    def check(self, source: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(self._cache)}
        command = [TIDY, self._build, source or self.source]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    @property
    def remembered(self) -> int:
        return len(list((self._cache / "openvenue" / "tidy").iterdir()))


def test_what_is_clean_is_remembered_until_something_changes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.check().returncode == 0
    assert project.check().returncode == 0
    assert project.remembered == 1
    project.header.write_text(f"{HEADER}\n")
    assert project.check().returncode == 0
    assert project.remembered == 2


def test_a_fault_is_found_each_time(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.check().returncode == 0
    project.source.write_text(CLEAN + FAULTY)
    for _ in range(2):
        found = project.check()
        assert found.returncode == 1
        assert "modernize-use-nullptr" in found.stdout
    assert project.remembered == 1


def test_a_source_that_is_not_compiled_is_named(tmp_path: Path) -> None:
    project = Project(tmp_path)
    other = tmp_path / "other.cc"
    other.write_text("")
    found = project.check(other)
    assert found.returncode == 1
    assert f"{other}: not in compile_commands.json" in found.stdout
