"""The README's lines of API do what they say on what the package ships; and every page is found from it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "docs" / "experiments" / "README.md"


@pytest.mark.slow
def test_the_lines_of_the_readme_run_as_they_stand():
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", lines + "\nprint(episodes.fallen.shape)"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    up, shape = done.stdout.splitlines()[-2:]
    assert up.count("False") + up.count("True") == 8 and shape == "(34, 8)"
    assert up.count("True") <= 1, "both skills stay up for ten seconds"


def links(page: Path) -> set[str]:
    """Files of the project that a page links to, from the root."""
    found = re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", page.read_text())
    return {(page.parent / link).resolve().relative_to(ROOT).as_posix() for link in found}


def test_every_link_of_the_pages_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        lost = [link for link in links(page) if not (ROOT / link).exists()]
        assert not lost, f"{page.relative_to(ROOT)}: {lost}"


def test_every_page_is_two_steps_from_the_readme():
    near = links(ROOT / "README.md")
    assert {"docs/pretraining.md", "docs/reward-model.md", "docs/experiments/README.md"} <= near
    assert "tools/train_low_level.py" in (ROOT / "README.md").read_text()
    reached = near.union(*(links(ROOT / page) for page in near if page.endswith(".md")))
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert not {page for page in pages - reached if not page.startswith("docs/decisions/")}
    assert {page for page in pages if page.startswith("docs/experiments/")} <= links(INDEX) | {
        "docs/experiments/README.md"
    }
