"""What the tools measure with and what they measure: reward models, skills."""

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


def load_candidates(ids: list[str], zoo: Path | None) -> list[Any]:
    """The skills named, or all; a multi-skill policy is one candidate per instruction."""
    import skill_zoo
    from anyskill_brax.evaluate.skills import Candidate
    from anyskill_brax.types import UserError
    from skill_zoo.search import controller_roots, find
    from skill_zoo.zoo import load_entry

    entries = [find(id, zoo) for id in ids] or skill_zoo.list_skills(kind="skill", zoo=zoo)
    found = []
    for entry in entries:
        skill = load_entry(entry, controller_roots(zoo))
        if entry.kind == "skill":
            policy = skill.policy
            widths = policy.multi.widths if hasattr(policy, "multi") else policy.widths
            found.append(Candidate(str(entry.id), skill.instruction, policy, widths, skill.low_level))
        elif entry.kind == "multi_skill":
            low_level = skill_zoo.load_low_level(entry.id, zoo)
            for text in skill.instructions:
                found.append(Candidate(str(entry.id), text, skill.for_instruction(text), skill.widths, low_level))
        else:
            raise UserError(f"{entry.id} is a {entry.kind}; `skills` measures skills and multi-skill policies")
    if not found:
        raise UserError(f"no skills in {zoo or 'the zoos on the search path'}; train some with tools/train_batch.py")
    if len(frames := {c.low_level.style.num_frames for c in found}) > 1:
        raise UserError(f"these skills stand on controllers with windows of {sorted(frames)} frames; name some of them")
    return found
