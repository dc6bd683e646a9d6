"""Sources of motions by name, and the share of them that training leaves out."""

import numpy as np
import pytest

from anyskill_brax.low_level.run import load_library
from anyskill_brax.motion.io import motion_from_qpos, save_motion_folder
from anyskill_brax.motion.sources import held_out, load_source, provenance
from anyskill_brax.types import UserError

NAMES = [f"clip_{i}" for i in range(1000)]


def config(folder, share: float) -> dict:
    return {"motions": (str(folder),), "motion_shares": (1.0,), "category_weights": {}, "hold_out": share}


@pytest.fixture(scope="module")
def folder(character, tmp_path_factory):
    """Ten clips of standing."""
    path = tmp_path_factory.mktemp("clips")
    qpos = np.tile(character.default_qpos, (12, 1))
    save_motion_folder(path, [motion_from_qpos(character, name, 30.0, qpos) for name in NAMES[:10]])
    return path


def test_a_share_of_names_is_held_out_and_a_larger_share_holds_the_same_and_more():
    small, large = ({name for name in NAMES if held_out(name, share)} for share in (0.1, 0.3))
    assert len(small) == pytest.approx(100, abs=30) and len(large) == pytest.approx(300, abs=45)
    assert small < large
    assert not any(held_out(name, 0.0) for name in NAMES) and all(held_out(name, 1.0) for name in NAMES)


def test_which_names_are_held_out_never_changes():
    """Controllers that were trained on the others are examined on these: sha256("walk") begins 7a6c, 0.478 of all."""
    assert [held_out("walk", share) for share in (0.478, 0.479)] == [False, True]


def test_training_sees_the_clips_that_are_not_held_out(character, folder):
    found = load_library(character, config(folder, 0.4)).names
    assert set(found) == {name for name in NAMES[:10] if not held_out(name, 0.4)} and 0 < len(found) < 10
    everything = config(folder, 0.0)
    del everything["hold_out"]  # a run from before there was such a thing
    assert load_library(character, everything).names == tuple(NAMES[:10])


@pytest.mark.parametrize(("share", "says"), [(0.9999, "leaves no clip"), (1.0, "less than 1"), (-0.1, "at least 0")])
def test_a_share_that_leaves_nothing_is_refused(character, folder, share, says):
    with pytest.raises(UserError, match=says):
        load_library(character, config(folder, share))


def test_other_dice_make_other_clips_of_other_names(character, monkeypatch):
    monkeypatch.setattr("anyskill_brax.motion.sources.builtin_motions", _few)
    assert [m.name for m in load_source(character, "builtin")] == ["bow"]
    assert [m.name for m in load_source(character, "builtin:3")] == ["bow.seed3"]
    with pytest.raises(UserError, match="builtin:SEED"):
        load_source(character, "builtin:three")


def _few(character, seed):
    from anyskill_brax.motion.synthesis import builtin_motions

    return builtin_motions(character, kinds=["bow"], seed=seed)


def test_collections_state_their_terms_and_how_many_clips_they_gave():
    made = "anyskill_brax.motion.synthesis seed 3"
    clips = [("a/b 12ab x.amc", "CMU"), ("a/b 34 y z.amc", "CMU"), ("c/d", "MIT"), (made, "Apache-2.0")]
    assert provenance(*zip(*clips)) == {"a/b": "CMU (2 clips)", "c/d": "MIT (1 clip)", "builtin": "Apache-2.0 (1 clip)"}
    unknown = [("walk one.bvh", "mine"), ("", "yours"), ("c/d", "MIT"), ("c/d e", "")]
    assert provenance(*zip(*unknown)) == {"other clips": "mine; yours (2 clips)", "c/d": ""}
