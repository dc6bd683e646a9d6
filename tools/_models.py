"""Which model gives the reward: the zoo's own, or a CLIP of the user's."""

from pathlib import Path
from typing import Any


def load_reward_model(clip: Path | None, zoo: str | Path | None, images: bool = False) -> Any:
    """The CLIP in a Hugging Face folder `clip`, else the zoo's newest of poses or `images`; `UserError` if none."""
    if clip is not None:
        from anyskill_brax.clip.hf_clip import HfClip

        return HfClip.load(clip)
    from skill_zoo.search import find_reward_model
    from skill_zoo.zoo import load_entry

    return load_entry(find_reward_model("image_reward" if images else "reward", zoo), [])
