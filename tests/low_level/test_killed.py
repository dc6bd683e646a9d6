"""Training killed at a random moment: a sample of `python tests/low_level/kill_torture.py --kills 20`."""

import pytest
from kill_torture import torture


@pytest.mark.slow
def test_a_run_killed_at_a_random_moment_resumes(motions, tmp_path):
    record = torture(motions, tmp_path / "run", kills=1)
    assert record.kills == 1 and max(record.lost, default=0) <= 1, record
