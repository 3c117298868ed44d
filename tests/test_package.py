"""The package as a whole: light to import, documented, self-contained, and as README and CONTRIBUTING say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import cortexsim as cx

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(m.name for m in pkgutil.walk_packages(cx.__path__, "cortexsim.") if not m.name.endswith("__main__"))


def test_importing_leaves_heavy_libraries_alone() -> None:
    heavy = {"numba", "scipy", "matplotlib", "networkx", "h5netcdf", "h5py", "nibabel", "tqdm"}
    program = f"import sys, cortexsim; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_version_is_that_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cx.__version__ == project["version"]
    assert f"## {cx.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_module_reads_the_reference_tables_beside_the_checkout() -> None:
    sources = [path for folder in ("cortexsim", "examples") for path in (ROOT / folder).rglob("*.py")]
    climbs = re.compile(r"""\bshared["'/]|["']\.\.["'/]""")
    assert [str(path) for path in sources if climbs.search(path.read_text(encoding="utf-8"))] == []


def _public() -> Iterator[tuple[str, Any]]:
    """Yield every public function and class that a user can reach from `cortexsim`, with its full name."""
    for name in cx.__all__:
        thing = getattr(cx, name)
        if not isinstance(thing, ModuleType):
            yield name, thing
            continue
        names = getattr(thing, "__all__", [n for n in vars(thing) if not n.startswith("_")])
        for found in (getattr(thing, n) for n in names):
            if getattr(found, "__module__", "").startswith(thing.__name__):
                yield f"{name}.{found.__name__}", found


def test_every_public_name_is_documented() -> None:
    undocumented = [name for name, thing in _public() if not inspect.getdoc(thing)]
    for name, thing in _public():
        if inspect.isclass(thing):
            members = {n: getattr(member, "__func__", member) for n, member in vars(thing).items()}
            undocumented += [
                f"{name}.{n}"
                for n, member in members.items()
                if not n.startswith("_") and isinstance(member, FunctionType | property) and not inspect.getdoc(member)
            ]
    assert undocumented == []


def test_every_argument_of_a_function_stands_in_its_docstring_or_in_one_that_this_refers_to() -> None:
    functions = {name: thing for name, thing in _public() if inspect.isfunction(thing)}
    # Those that return Any declare fields of a dataclass
    functions = {n: f for n, f in functions.items() if inspect.signature(f).return_annotation != "Any"}
    docs: dict[str, str] = {}
    for function in functions.values():  # a read-out and its picture share a name
        docs[function.__name__] = docs.get(function.__name__, "") + (inspect.getdoc(function) or "")
    missing = []
    for name, function in functions.items():
        own = inspect.getdoc(function) or ""
        text = own + "".join(docs.get(other, "") for other in re.findall(r"`(\w+)`", own))
        arguments = inspect.signature(function).parameters
        missing += [f"{name}({argument})" for argument in arguments if not re.search(rf"\b{argument}\b", text)]
        if len(arguments) > 2 and "Parameters\n---" not in text:
            missing.append(f"{name}: Parameters")
        if inspect.signature(function).return_annotation != "None" and not re.search(r"^Returns?\b", own, re.MULTILINE):
            missing.append(f"{name}: Returns")
    assert missing == []


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_give_what_they_say(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, experiment, training, hybrid = _blocks("README.md", "python")
    names: dict[str, Any] = {}
    exec(compile(first, "README.md", "exec"), names)
    assert len(cx.validate.persistence(names["result"]).persistent_areas) == 23
    assert cx.load("result.nc").identical(names["result"])
    assert (tmp_path / "summary.png").stat().st_size > 10_000
    exec(compile(experiment, "README.md", "exec"), names)
    exec(compile(training, "README.md", "exec"), names)
    assert names["training"].history.sizes["network"] == 4
    exec(compile(hybrid, "README.md", "exec"), names)
    assert names["training"].history.performance[-1] >= 0.9
    assert names["result"].sizes["unit"] == 50
    assert set(names["ends"].outcome.to_numpy()[names["ends"].condition == "light"]) == {"distracted"}


def test_ci_runs_the_marked_commands_of_readme_and_contributing() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    used = set(re.findall(r"""\b(?:run|commands) (\w+\.md) "?([\w ]+\b)""", script))
    marked = {
        (page, name)
        for page in ("README.md", "CONTRIBUTING.md")
        for name in re.findall(r"^<!-- run: (.*) -->\n```sh$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert used == marked
    assert len(marked) >= 4


def test_pictures_and_pages_that_the_pages_link_to_exist() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
        assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == [], page
