"""What pip installs: no stranger takes the place of our packages, and nothing is declared that is not used."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("submodules/*/pyproject.toml"))
OURS = "rgb-avatar"
IMPORTED_AS = {"pyyaml": "yaml", "pillow": "PIL", "imageio-ffmpeg": "imageio_ffmpeg"}


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def required(folder: Path) -> set[str]:
    """Names of the distributions that a package asks pip for, with all its extras."""
    table = project(folder)["project"]
    lines = [
        *table["dependencies"],
        *(line for extra in table.get("optional-dependencies", {}).values() for line in extra),
    ]
    return {re.split(r"[^\w.-]", line)[0] for line in lines}


def test_our_packages_have_names_that_are_ours():
    """`pip install .` alone finds nothing on a registry rather than a stranger's `simple-knn`."""
    names = {folder: project(folder)["project"]["name"] for folder in PACKAGES}
    assert len(names) == 9
    for folder, name in names.items():
        assert name == f"{OURS}-{folder.name.replace('_', '-')}"
    upstream = {folder.name.replace("_", "-") for folder in PACKAGES}
    for folder in [ROOT, *PACKAGES]:
        assert not {name.replace("_", "-") for name in required(folder)} & upstream
    assert set(names.values()) <= required(ROOT)


def test_the_install_line_has_every_package_before_ours():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    folders = [line for line in lines if line.startswith("./")]
    assert {(ROOT / folder).resolve() for folder in folders} == set(PACKAGES)
    assert lines.index(".") > max(map(lines.index, folders))


def test_what_is_declared_is_imported():
    """`filelock` and the others are there because a module of ours reads them."""
    sources = "".join(
        path.read_text(encoding="utf-8") for name in ("rgb_core", "rgb_cli") for path in (ROOT / name).rglob("*.py")
    )
    for line in project(ROOT)["project"]["dependencies"]:
        name = re.split(r"[^\w.-]", line)[0]
        if not name.startswith(OURS):
            assert re.search(rf"^\s*(import|from) {IMPORTED_AS.get(name, name)}\b", sources, re.MULTILINE), name


def test_every_package_folder_is_installed():
    listed = set(project(ROOT)["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for name in ("rgb_core", "rgb_cli")
        for path in (ROOT / name).rglob("__init__.py")
    }
    assert found == listed - {"rgb_presets"}
