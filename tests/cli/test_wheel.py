"""The package as pip installs it works without a checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.venue import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    # It needs no index: the build's own requirement is in the environment.
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    command += ["--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = directory.glob("openvenue-*.whl")
    return made


def test_the_wheel_holds_every_migration(wheel: Path) -> None:
    held = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "_migrations" in name}
    migrations = {path.name for path in (ROOT / "alembic/versions").glob("*.py")}
    assert migrations | {"env.py"} <= held


def test_an_installed_package_runs_and_migrates(
    wheel: Path, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OPENVENUE_")
    }
    # Dependencies come from the tests' environment, the package itself only from the wheel.
    environment |= {
        "PYTHONPATH": f"{installed}:{sysconfig.get_path('purelib')}",
        "OPENVENUE_DATABASE_URL": new_database(),
    }

    def run(*arguments: str) -> str:
        # Without the environment's site packages, which have the checkout installed.
        command = [sys.executable, "-S", "-c", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import openvenue; from openvenue.settings import Settings as S; "
    where += "print(openvenue.__file__, S().migrations_dir, sep='\\n')"
    places = run(where).split()
    assert all(place.startswith(str(installed)) for place in places)
    assert "migrate" in run("from openvenue.cli import main; main()", "--help")
    assert '"migrated"' in run("from openvenue.cli import main; main()", "migrate", "--json")
    assert "--situation" in run("from openvenue.cli import main; main()", "plan", "--help")
    needed = "from openvenue.db.schema import RequiredSchema as R; "
    needed += "from openvenue.settings import Settings; print(R(Settings()).revision)"
    assert run(needed).strip()
