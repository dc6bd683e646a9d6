"""A Hugging Face CLIP or SigLIP folder -> our configuration and parameters: config.json, safetensors, image statistics.

Nothing is guessed: a folder that lacks a file, a tensor or a shape, or that holds a tensor we would ignore, is refused.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from anyskill_brax.clip.config import ClipFolderError, read_config, read_json
from anyskill_brax.clip.model import ClipConfig, TowerConfig
from anyskill_brax.types import Params

NOT_PARAMETERS = ("position_ids", "logit_scale", "logit_bias")  # index buffers of old files; the training loss's own


def load_clip_folder(path: str | Path) -> tuple[ClipConfig, Params]:
    """`path` -> configuration and float32 parameters `{"text": ..., "vision": ...}` of the two towers.

    Errors: `ClipFolderError` when the folder, a file, a tensor or a shape is missing, damaged or of another model.
    """
    folder = Path(path)
    config = read_config(folder)
    tensors = Tensors(folder, weight_files(folder))
    vision = _siglip_vision_params if config.family == "siglip" else _vision_params
    params = {"text": _text_params(config, tensors), "vision": vision(config, tensors)}
    tensors.check()
    return config, params


def folder_sha256(path: str | Path) -> str:
    """The hash of everything that decides a feature: configuration, weights, tokenizer and image statistics."""
    folder, digest = Path(path), hashlib.sha256()
    names = {file.name for file in weight_files(folder)}
    names |= {"config.json", "preprocessor_config.json", "processor_config.json"}
    names |= {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    for name in sorted(names):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors file, or the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not index.is_file():
        others = sorted(entry.name for entry in folder.iterdir() if entry.suffix in {".bin", ".pt", ".h5", ".msgpack"})
        raise ClipFolderError(
            f"{folder} has no weights: expected model.safetensors, or model.safetensors.index.json with its shards"
            + (f"; found {', '.join(others)}, which is not read for safety" if others else "")
            + ". Download model.safetensors of this checkpoint into the folder."
        )
    weight_map = read_json(index).get("weight_map")
    names = sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []
    lost = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
    if lost or not names:
        raise ClipFolderError(
            f"{index} names {len(names)} shards"
            + (f", of which {', '.join(lost)} is not in the folder" if lost else "")
            + ". Finish the download of the index and every shard."
        )
    return [folder / name for name in names]


class Tensors:
    """Named tensors, each to be taken once, as float32 and of the shape that the configuration promises."""

    def __init__(self, folder: Path, files: list[Path]):
        self.folder, self.wrong = folder, []
        self.tensors: dict[str, Any] = {}
        for file in files:
            try:
                self.tensors |= load_file(file)
            except (SafetensorError, OSError) as error:
                raise ClipFolderError(
                    f"{file} ({file.stat().st_size} bytes) is not a whole safetensors file ({error}): a download "
                    "cut short, or a git-lfs pointer. Download it again."
                ) from error

    def take(self, name: str, *shape: int) -> np.ndarray:
        tensor = self.tensors.pop(name, None)
        if tensor is None or tensor.shape != shape:
            self.wrong.append(
                f"{name} {'is missing' if tensor is None else list(tensor.shape)}, expected {list(shape)}"
            )
            return np.broadcast_to(np.float32(0.0), shape)  # goes on, so that `check` can name every fault
        return tensor.astype(np.float32)

    def dense(self, name: str, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {"kernel": self.take(f"{name}.weight", outputs, inputs).T, "bias": self.take(f"{name}.bias", outputs)}

    def attention(self, name: str, width: int) -> list[dict[str, np.ndarray]]:
        """Query, key and value: one packed tensor, as PyTorch's own module keeps it, or three."""
        if f"{name}.in_proj_weight" not in self.tensors:
            return [self.dense(f"{name}.{part}_proj", width, width) for part in "qkv"]
        kernels = np.split(self.take(f"{name}.in_proj_weight", 3 * width, width), 3)
        biases = np.split(self.take(f"{name}.in_proj_bias", 3 * width), 3)
        return [{"kernel": kernel.T, "bias": bias} for kernel, bias in zip(kernels, biases, strict=True)]

    def norm(self, name: str, width: int) -> dict[str, np.ndarray]:
        return {"scale": self.take(f"{name}.weight", width), "bias": self.take(f"{name}.bias", width)}

    def check(self) -> None:
        """Refuse what was missing or misshapen, and what nobody asked for."""
        unused = [name for name in self.tensors if not name.endswith(NOT_PARAMETERS)]
        faults = self.wrong + [f"{name} is not part of the model" for name in sorted(unused)]
        if faults:
            raise ClipFolderError(
                f"The weights in {self.folder} do not fit its config.json, {len(faults)} tensors: "
                f"{'; '.join(faults[:4])}{'; ...' if len(faults) > 4 else ''}. "
                "Take config.json and weights from one checkpoint: download both again."
            )


def _layers(tensors: Tensors, prefix: str, tower: TowerConfig) -> Params:
    params = {}
    for layer in range(tower.layers):
        name, width = f"{prefix}.encoder.layers.{layer}", tower.width
        params[f"layer_{layer}"] = {
            "norm_1": tensors.norm(f"{name}.layer_norm1", width),
            "qkv": side_by_side(tensors.attention(f"{name}.self_attn", width)),
            "out": tensors.dense(f"{name}.self_attn.out_proj", width, width),
            "norm_2": tensors.norm(f"{name}.layer_norm2", width),
            "up": tensors.dense(f"{name}.mlp.fc1", width, tower.mlp_width),
            "down": tensors.dense(f"{name}.mlp.fc2", tower.mlp_width, width),
        }
    return params


def side_by_side(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Several layers of the same input as one."""
    return {key: np.concatenate([part[key] for part in parts], axis=-1) for key in ("kernel", "bias")}


def _text_params(config: ClipConfig, tensors: Tensors) -> Params:
    name, width = "text_model", config.text.width
    return {
        "tokens": {"embedding": tensors.take(f"{name}.embeddings.token_embedding.weight", config.vocab_size, width)},
        "positions": tensors.take(f"{name}.embeddings.position_embedding.weight", config.context, width),
        **_layers(tensors, name, config.text),
        "norm": tensors.norm(f"{name}.final_layer_norm", width),
        "projection": tensors.dense(f"{name}.head", width, config.dim)
        if config.family == "siglip"
        else {"kernel": tensors.take("text_projection.weight", config.dim, width).T},
    }


def _siglip_vision_params(config: ClipConfig, tensors: Tensors) -> Params:
    name, width, patch, tower = "vision_model", config.vision.width, config.patch_size, config.vision
    kernel = tensors.take(f"{name}.embeddings.patch_embedding.weight", width, 3, patch, patch)
    bias = tensors.take(f"{name}.embeddings.patch_embedding.bias", width)
    positions = (config.image_size // patch) ** 2
    query, *key_value = tensors.attention(f"{name}.head.attention", width)
    return {
        "patches": {"kernel": kernel.transpose(2, 3, 1, 0).reshape(-1, width), "bias": bias},
        "positions": tensors.take(f"{name}.embeddings.position_embedding.weight", positions, width),
        **_layers(tensors, name, tower),
        "norm": tensors.norm(f"{name}.post_layernorm", width),
        "pool": {
            "probe": tensors.take(f"{name}.head.probe", 1, 1, width).reshape(width),
            "query": query,
            "key_value": side_by_side(key_value),
            "out": tensors.dense(f"{name}.head.attention.out_proj", width, width),
            "norm": tensors.norm(f"{name}.head.layernorm", width),
            "up": tensors.dense(f"{name}.head.mlp.fc1", width, tower.mlp_width),
            "down": tensors.dense(f"{name}.head.mlp.fc2", tower.mlp_width, width),
        },
    }


def _vision_params(config: ClipConfig, tensors: Tensors) -> Params:
    name, width, patch = "vision_model", config.vision.width, config.patch_size
    kernel = tensors.take(f"{name}.embeddings.patch_embedding.weight", width, 3, patch, patch)
    positions = 1 + (config.image_size // patch) ** 2
    return {
        "patches": {"kernel": kernel.transpose(2, 3, 1, 0).reshape(-1, width)},
        "class": tensors.take(f"{name}.embeddings.class_embedding", width),
        "positions": tensors.take(f"{name}.embeddings.position_embedding.weight", positions, width),
        "norm_in": tensors.norm(f"{name}.pre_layrnorm", width),  # the checkpoints spell it so
        **_layers(tensors, name, config.vision),
        "norm": tensors.norm(f"{name}.post_layernorm", width),
        "projection": {"kernel": tensors.take("visual_projection.weight", config.dim, width).T},
    }
