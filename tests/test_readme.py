"""The README's lines of API do what they say, in a fresh process, on what the package ships."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
