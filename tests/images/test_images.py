"""The images' contents, and that they run as pods under the restricted profile."""

import re
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from tests.images.image import Image, Pod
from tests.support.venue import ROOT

# Over the base image.
ENGINE_MB_MAX = 40
API_MB_MAX = 180

OURS = ["engine", "api"]


@pytest.fixture(params=OURS)
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(request.param)
    return found


def test_the_images_are_small(base: Image, engine: Image, api: Image) -> None:
    added_mb = {
        name: one.size_mb - base.size_mb for name, one in (("engine", engine), ("api", api))
    }
    print(f"base {base.size_mb:.1f} MB, added to it: {added_mb}")
    assert added_mb["engine"] <= ENGINE_MB_MAX
    assert added_mb["api"] <= API_MB_MAX


def test_an_image_runs_as_a_number_without_a_user(image: Image) -> None:
    assert image.config["User"] == "10001:0"
    assert image.config["StopSignal"] == "SIGTERM"


def test_an_image_runs_as_any_user_of_its_group(
    pod: Pod, engine: Image, api: Image, tmp_path: Path
) -> None:
    # A user as OpenShift chooses it: it is not in /etc/passwd.
    user = 1_000_680_000
    assert "usage" in pod.run(api, "openvenue", "--help", user=user).lower()
    journal = {"/var/lib/openvenue": tmp_path / "journal"}
    serving = pod.start(engine, user=user, volumes=journal)
    deadline = time.monotonic() + 60
    while "ready" not in serving.output + serving.errors:
        assert serving.is_running, serving.errors
        assert time.monotonic() < deadline, serving.errors
        time.sleep(0.1)
    assert serving.stop() == 0, serving.errors


def test_an_image_says_what_it_is_and_of_which_revision(image: Image) -> None:
    labels = image.config["Labels"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    show = ["git", "show", "--no-patch", "--format=%cI", "HEAD"]
    date = subprocess.run(show, cwd=ROOT, capture_output=True, text=True)
    wanted = {
        "title": "OpenVenue engine" if "engine" in image.name else "OpenVenue",
        "version": project["version"],
        "revision": head.stdout.strip(),
        "created": date.stdout.strip(),
        "licenses": project["license"],
    }
    found = {name: labels[f"org.opencontainers.image.{name}"] for name in wanted}
    assert found == wanted
    assert labels["org.opencontainers.image.description"]
    assert labels["org.opencontainers.image.source"]


def test_an_image_adds_no_file_that_lends_rights(base: Image, image: Image) -> None:
    assert image.privileged_files <= base.privileged_files


def test_an_image_holds_no_sources_tests_tools_or_secrets(base: Image, image: Image) -> None:
    added = image.added_to(base)
    names = {path.rsplit("/", 1)[-1] for path in added}
    assert not names & {".git", ".env", "c++", "cmake", "gcc", "pip", "pip3", "uv", "uv.lock"}
    ours = [path for path in added if re.search("(site-packages|share|bin)/openvenue", path)]
    assert ours
    for path in ours:
        assert not {"tests", "src", "proto"} & set(path.split("/"))
        assert not path.endswith((".cc", ".h", ".proto"))
    for path in added:
        file = image.root / path
        if file.suffix in {".key", ".pem", ".crt", ""} and image.files[path].st_size < 1_000_000:
            assert file.is_symlink() or b"PRIVATE KEY-----" not in file.read_bytes(), path


def test_only_root_may_change_an_images_programs(base: Image, image: Image) -> None:
    for path in image.added_to(base):
        status = image.files[path]
        assert status.st_uid == 0, path


def test_the_interpreter_finds_all_bytecode_made(api: Image) -> None:
    made = {path for path in api.files if path.endswith(".pyc")}
    modules = [
        path for path in api.files if path.startswith("opt/openvenue/lib") and path.endswith(".py")
    ]
    assert len(modules) > 1000
    for module in modules:
        folder, name = module.rsplit("/", 1)
        assert f"{folder}/__pycache__/{name[:-3]}.cpython-311.pyc" in made


def test_the_engine_tells_its_version(pod: Pod, engine: Image) -> None:
    assert (
        pod.run(engine, "--version").strip()
        == engine.config["Labels"]["org.opencontainers.image.version"]
    )


@pytest.mark.parametrize(
    "command",
    [
        "openvenue --help",
        "openvenue migrate --help",
        "python -m openvenue_operator --help",
        "python -m openvenue_operator.generated_secrets --help",
    ],
)
def test_the_api_image_holds_the_command(pod: Pod, api: Image, command: str) -> None:
    assert "usage" in pod.run(api, *command.split()).lower()


def test_the_api_image_holds_the_operators_libraries(pod: Pod, api: Image) -> None:
    assert pod.run(api, "python", "-c", "import kopf, lightkube, openvenue_operator") == ""
