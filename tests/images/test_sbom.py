"""The bill of materials names exactly the packages of an image."""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.images.image import Image
from tests.support.venue import ROOT

URL = re.compile(r"pkg:(?P<kind>deb|pypi)/(?:debian/)?(?P<name>[^@]+)@(?P<version>[^?]+)")


@pytest.fixture(scope="session")
def bills(engine: Image, api: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the bills of both images."""
    if not (ROOT / ".cache/cluster/bin/syft").exists():
        pytest.skip("syft is not built, which takes minutes: tests/cluster/parts/build syft")
    directory = tmp_path_factory.mktemp("sbom")
    tag = api.name.rsplit(":", 1)[1]
    command = [str(ROOT / "scripts/make-sbom"), "--tag", tag, "--output", str(directory)]
    subprocess.run(command, check=True)
    return directory


def packages_in(bill: Path) -> dict[str, set[str]]:
    """Return names of packages by kind."""
    content = json.loads(bill.read_text())
    assert content["spdxVersion"] == "SPDX-2.3"
    found: dict[str, set[str]] = {"deb": set(), "pypi": set()}
    for package in content["packages"]:
        for reference in package.get("externalRefs", []):
            match = URL.match(reference["referenceLocator"])
            if match:
                found[match["kind"]].add(unquote(match["name"]))
    return found


def packages_of_debian(image: Image) -> set[str]:
    status = (image.root / "var/lib/dpkg/status").read_text()
    return set(re.findall(r"^Package: (.+)$", status, re.MULTILINE))


def test_the_engines_bill_names_what_dpkg_knows(engine: Image, bills: Path) -> None:
    found = packages_in(bills / "openvenue-engine.spdx.json")
    assert {"libgrpc29", "libprotobuf32", "libssl3"} <= found["deb"]
    assert found == {"deb": packages_of_debian(engine), "pypi": set()}


def test_the_api_images_bill_names_pythons_packages_too(api: Image, bills: Path) -> None:
    found = packages_in(bills / "openvenue.spdx.json")
    assert found["deb"] == packages_of_debian(api)
    installed = api.root.glob("opt/openvenue/lib/python3*/site-packages/*.dist-info")
    names = {re.sub("[-_.]+", "-", path.name.split("-")[0]).lower() for path in installed}
    assert {"openvenue", "fastapi", "kopf"} <= names
    assert {re.sub("[-_.]+", "-", name).lower() for name in found["pypi"]} == names
