"""The humanoid as the player draws it: bodies, hinges and round shapes, as JSON."""

from typing import Any

from anyskill_brax.character.humanoid import CONTROL_DT, load_character

_SHAPES = {2: "sphere", 3: "capsule", 6: "box"}
"""MuJoCo's numbers of the shapes that the humanoid is made of."""


def describe_character() -> dict[str, Any]:
    """Bodies in the order of `qpos`: parent, offset [m], hinges (index into qpos, axis), shapes (size [m], colour)."""
    character = load_character()
    model, bodies = character.model, []
    for number, name in enumerate(character.body_names):
        body = model.body(name).id
        hinges = [
            {"qpos": 7 + hinge, "axis": model.joint(character.joint_names[hinge]).axis.round(6).tolist()}
            for hinge in character.body_hinges[number]
        ]
        shapes = [
            {
                "shape": _SHAPES[int(model.geom_type[geom])],
                "size": model.geom_size[geom].round(6).tolist(),
                "pos": model.geom_pos[geom].round(6).tolist(),
                "quat": model.geom_quat[geom].round(6).tolist(),
                "colour": model.geom_rgba[geom][:3].round(4).tolist(),
            }
            for geom in range(model.ngeom)
            if model.geom_bodyid[geom] == body
        ]
        parent, offset = int(character.parents[number]), character.offsets[number].round(6).tolist()
        bodies.append({"name": name, "parent": parent, "offset": offset, "hinges": hinges, "shapes": shapes})
    return {"bodies": bodies, "dt": CONTROL_DT}
