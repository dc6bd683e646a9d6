"""The rules of the house that a machine can check: floors, forbidden calls, lengths, who may import what."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("anyskill_brax", "skill_zoo", "tools", "configs", "benchmarks")


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Every module of the product (tests are free to misbehave), by its path from the root."""
    paths = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def dotted(node: ast.AST) -> str:
    """`os.environ.get` for the expression that reads so; "" for anything else."""
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return node.id if isinstance(node, ast.Name) else ""


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers_of(package: str) -> set[str]:
    return {
        path
        for path, tree in sources().items()
        if any(name == package or name.startswith(package + ".") for name in imports(tree))
    }


def within(*folders: str) -> set[str]:
    return {path for path in sources() if path.startswith(folders)}


def test_floors_hold():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "yaml.load",
    "yaml.unsafe_load",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "torch.load",
}


def test_nothing_read_from_a_file_is_run():
    """No eval, no exec, no pickle."""
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path}:{node.lineno}"
            assert dotted(node.func) not in FORBIDDEN_CALLS, where
            for keyword in node.keywords:
                constant = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert keyword.arg != "allow_pickle" or constant, where
                shell = isinstance(keyword.value, ast.Constant) and not keyword.value.value
                assert keyword.arg != "shell" or shell, where


def test_the_words_for_it_do_not_occur_either():
    """What a reviewer greps for finds nothing but this line."""
    words = re.compile(r"pickle|allow_pickle=True|eval\(|yaml\.load\(")
    for folder in ("anyskill_brax", "skill_zoo", "tools"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".toml", ".json", ".js"):
                assert not words.search(path.read_text()), path


def test_one_importer_of_transformers_and_none_of_torch():
    peers = {"benchmarks/encoders.py"}
    assert importers_of("transformers") - peers <= {"anyskill_brax/clip/weights.py", "anyskill_brax/clip/text.py"}
    assert importers_of("torch") <= peers


def test_transformers_is_imported_late():
    """It takes seconds; whoever does not read CLIP folders should not wait."""
    for path in importers_of("transformers"):
        top = ast.Module([node for node in sources()[path].body if not isinstance(node, ast.FunctionDef)], [])
        assert not any(name.startswith("transformers") for name in imports(top)), path


def test_mujocos_host_api_stays_in_its_rooms():
    allowed = within("anyskill_brax/character/", "anyskill_brax/physics/", "anyskill_brax/render/", "benchmarks/")
    assert importers_of("mujoco") <= allowed | within("anyskill_brax/motion/")


def test_configuration_libraries_stay_at_the_door():
    doors = {path for path in sources() if path.endswith(("/train.py", "/run.py"))}
    assert importers_of("absl") | importers_of("ml_collections") <= within("tools/", "configs/") | doors


def test_only_tools_touch_the_environment():
    """The documented places of the zoo (SKILL_ZOO_PATH) and a text encoder (ANYSKILL_TEXT_ENCODER) are exceptions."""
    users = {
        path
        for path, tree in sources().items()
        if any(dotted(node) in ("os.environ", "os.getenv", "os.putenv") for node in ast.walk(tree))
    }
    assert users <= within("tools/") | {"skill_zoo/search.py", "anyskill_brax/clip/sentence.py"}


@pytest.mark.parametrize(("folder", "limit"), [("tools/", 120), ("anyskill_brax/", 400), ("skill_zoo/", 400)])
def test_files_stay_short(folder, limit):
    long = {path: n for path in within(folder) if (n := len((ROOT / path).read_text().splitlines())) > limit}
    assert not long


def test_no_room_for_odds_and_ends():
    names = {part.removesuffix(".py") for path in within("anyskill_brax/", "skill_zoo/") for part in path.split("/")}
    assert not names & {"utils", "util", "common", "helpers", "misc", "base"}


def test_every_package_and_module_says_what_it_is_for():
    for path, tree in sources().items():
        if path.startswith(("anyskill_brax/", "skill_zoo/")) and tree.body:
            assert ast.get_docstring(tree), path


def test_no_pickled_file_is_kept():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    suffixes = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
    assert not [name for name in listed.stdout.splitlines() if name.endswith(suffixes)]
