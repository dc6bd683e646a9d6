"""A skill and its controller as one function `obs [1, 223] -> action [1, 28]`, for programs without this library.

StableHLO comes from `jax.export`. ONNX is written from the function's jaxpr, whose few operations map one to one (with
the package onnx; the result runs anywhere, e.g. in onnxruntime). A JSON sidecar says what goes in and what comes out.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from anyskill_brax.character.humanoid import LATENT_STEPS, load_character
from anyskill_brax.skill import Skill
from anyskill_brax.workdir import write_atomically
from skill_zoo.errors import SkillZooError, ZooIOError
from skill_zoo.search import Entry, Folder, Id, controller_roots, find
from skill_zoo.zoo import load_entry

FORMATS = ("onnx", "stablehlo")
_UNITS = {
    "root_height": "m, above the floor",
    "body_positions": "m, from the root, in the heading frame; every body but the root",
    "body_rotations_6d": "first two columns of rotation matrices, in the heading frame",
    "linear_velocities": "m/s, in the heading frame",
    "angular_velocities": "rad/s, in the heading frame",
}
_PLAIN = {"add": "Add", "add_any": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min"}
_PLAIN |= {"tanh": "Tanh", "exp": "Exp", "logistic": "Sigmoid", "sqrt": "Sqrt", "neg": "Neg"}
_OPSET = 17


def export_function(id: Id, folder: Folder, form: str, zoo: Folder | None = None) -> list[Path]:
    """Write `<name>-vN.onnx` or `.stablehlo` and `<name>-vN.json` into `folder`; returns both paths."""
    entry = find(id, zoo)
    function = function_of(load_entry(entry, controller_roots(zoo)), entry)
    data = {"onnx": to_onnx, "stablehlo": to_stablehlo}[form](function, entry.manifest.interface["obs_dim"])
    target = Path(folder).expanduser() / f"{entry.id.name}-v{entry.id.version}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files = [target.with_name(f"{target.name}.{ending}") for ending in (form, "json")]
        write_atomically(files[0], data)
        write_atomically(files[1], json.dumps(contract(entry, form), indent=1).encode())
    except OSError as error:
        raise ZooIOError("write", target, error) from error
    return files


def function_of(skill: Any, entry: Entry) -> Callable[[jax.Array], jax.Array]:
    """`obs [1, N] -> action [1, A]`, unbounded as the controller gives it."""
    if not isinstance(skill, Skill):
        raise SkillZooError(f"{entry.id} is a {entry.kind}; a skill is exported, which is a policy and its controller")
    memory = skill.init(jax.random.key(0))
    if jax.tree.leaves(memory):
        raise SkillZooError(f"{entry.id} remembers something between steps; only memoryless policies are exported")
    return jax.vmap(lambda obs: skill.low_level.act(obs, skill.act(memory, obs)[0]))


def contract(entry: Entry, form: str) -> dict[str, Any]:
    """What a caller must know: layout, units, rates, and what the action means."""
    interface, character = entry.manifest.interface, load_character()
    return {
        "id": str(entry.id),
        "instruction": entry.instruction,
        "sha256": entry.manifest.sha256,
        "format": f"ONNX, opset {_OPSET}" if form == "onnx" else "StableHLO, as jax.export serializes it",
        "input": {
            "name": "obs",
            "shape": [1, interface["obs_dim"]],
            "layout": [{"name": n, "size": size, "unit": _UNITS.get(n, "")} for n, size in interface["obs_layout"]],
            "normalised": "inside the function, clipped at five standard deviations: any finite input is valid",
        },
        "output": {
            "name": "action",
            "shape": [1, interface["action_dim"]],
            "joints": list(character.joint_names),
            "meaning": "PD target [rad] = offset + scale * action; torque = kp * (target - angle) - kd * velocity",
            "offset": character.action_offset.tolist(),
            "scale": character.action_scale.tolist(),
            "kp": character.kp.tolist(),
            "kd": character.kd.tolist(),
        },
        "control_rate_hz": round(1.0 / interface["control_dt"], 3),
        "latent": f"computed at every call; in training and in this library it is held for {LATENT_STEPS} calls",
        "character_sha256": interface["character_sha256"],
    }


def to_stablehlo(function: Callable[[jax.Array], jax.Array], obs_dim: int) -> bytes:
    """For `jax.export.deserialize`, on CPU and CUDA. `SkillZooError` where flatbuffers is not installed."""
    from jax import export

    shape = jax.ShapeDtypeStruct((1, obs_dim), jnp.float32)
    try:
        return bytes(export.export(jax.jit(function), platforms=("cpu", "cuda"))(shape).serialize())
    except ImportError as error:
        raise SkillZooError("writing StableHLO needs flatbuffers: pip install 'anyskill-brax[export]'") from error


def to_onnx(function: Callable[[jax.Array], jax.Array], obs_dim: int) -> bytes:
    """`SkillZooError` where onnx is not installed or the function does what has no counterpart here."""
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise SkillZooError("writing ONNX needs its package: pip install 'anyskill-brax[export]'") from error
    closed = jax.make_jaxpr(function)(jnp.zeros((1, obs_dim), jnp.float32))
    graph = _Graph(onnx)
    for variable, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        graph.names[variable] = graph.constant(value)
    graph.names[closed.jaxpr.invars[0]] = "obs"
    graph.add_all(closed.jaxpr)
    graph.node("Identity", [graph.name(closed.jaxpr.outvars[0])], "action")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    action = closed.out_avals[0].shape
    ends = [
        [make.make_tensor_value_info(name, kind, shape)] for name, shape in (("obs", (1, obs_dim)), ("action", action))
    ]
    used = {name for node in graph.nodes for name in node.input}
    constants = [constant for constant in graph.constants if constant.name in used]
    made = make.make_graph(graph.nodes, "skill", *ends, initializer=constants)
    model = make.make_model(made, opset_imports=[make.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    """ONNX nodes, as they are added from jaxprs; every variable has a name."""

    def __init__(self, onnx: Any):
        self.onnx, self.nodes, self.constants, self.names = onnx, [], [], {}

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(value), name))
        return name

    def name(self, atom: Any) -> str:
        if hasattr(atom, "val"):  # a literal
            return self.constant(np.asarray(atom.val, atom.aval.dtype))
        return self.names[atom]

    def node(self, operation: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operation, inputs, [output], **attributes))
        return output

    def shape(self, shape: tuple[int, ...]) -> str:
        return self.constant(np.array(shape, np.int64))

    def add_all(self, jaxpr: Any) -> None:
        for equation in jaxpr.eqns:
            inputs, params = [self.name(atom) for atom in equation.invars], equation.params
            inner = params.get("jaxpr", params.get("call_jaxpr"))
            if inner is not None:  # a function within the function
                for variable, value in zip(inner.jaxpr.constvars, inner.consts, strict=True):
                    self.names[variable] = self.constant(value)
                self.names.update(zip(inner.jaxpr.invars, inputs, strict=True))
                self.add_all(inner.jaxpr)
                outputs = [self.name(atom) for atom in inner.jaxpr.outvars]
                self.names.update(zip(equation.outvars, outputs, strict=True))
            else:
                self.names[equation.outvars[0]] = self.add(equation, inputs, params)

    def add(self, equation: Any, inputs: list[str], params: dict[str, Any]) -> str:
        operation, out = equation.primitive.name, equation.outvars[0].aval
        if 0 in out.shape:
            return self.constant(np.zeros(out.shape, out.dtype))
        if operation in _PLAIN:
            return self.node(_PLAIN[operation], inputs)
        if operation == "rsqrt":
            return self.node("Reciprocal", [self.node("Sqrt", inputs)])
        if operation == "integer_pow" and params["y"] == 2:
            return self.node("Mul", [*inputs, *inputs])
        if operation == "dot_general" and params["dimension_numbers"] == (((1,), (0,)), ((), ())):
            return self.node("MatMul", inputs)
        if operation == "concatenate":
            full = [name for name, atom in zip(inputs, equation.invars, strict=True) if 0 not in atom.aval.shape]
            return self.node("Concat", full, axis=params["dimension"])
        if operation == "reduce_sum":
            return self.node("ReduceSum", [*inputs, self.shape(params["axes"])], keepdims=0)
        if operation in ("reshape", "squeeze", "expand_dims"):
            return self.node("Reshape", [*inputs, self.shape(out.shape)])
        if operation == "broadcast_in_dim":
            source, placed = equation.invars[0].aval.shape, [1] * len(out.shape)
            for axis, place in enumerate(params["broadcast_dimensions"]):
                placed[place] = source[axis]
            return self.node(
                "Expand", [self.node("Reshape", [*inputs, self.shape(tuple(placed))]), self.shape(out.shape)]
            )
        if operation in ("convert_element_type", "stop_gradient", "copy") and out.dtype == jnp.float32:
            return self.node("Cast", inputs, to=self.onnx.TensorProto.FLOAT)
        raise SkillZooError(f"the operation {operation} of this policy has no counterpart in the export to ONNX")
