"""What a Hugging Face CLIP or SigLIP folder says of itself: config.json and preprocessor_config.json -> `ClipConfig`.

Absent fields take the values that transformers gives them; the format relies on that.
"""

import json
from pathlib import Path
from typing import Any

from anyskill_brax.clip.model import ACTIVATIONS, ClipConfig, TowerConfig
from anyskill_brax.types import UserError

TEXT_DEFAULTS = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "eos_token_id": 49407,
}
VISION_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
}
SIGLIP_TEXT = {
    **TEXT_DEFAULTS,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "max_position_embeddings": 64,
    "vocab_size": 32000,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
SIGLIP_VISION = {**VISION_DEFAULTS, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
RESAMPLE = {0: "nearest", 1: "lanczos3", 2: "linear", 3: "cubic"}  # PIL's numbers, `jax.image.resize`'s names


class ClipFolderError(UserError):
    """A folder that is not a whole, readable checkpoint: of a CLIP, a SigLIP, or a BERT that reads sentences."""


def read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClipFolderError(f"{file} is not readable JSON ({error}). Download the file again.") from error
    if not isinstance(content, dict):
        raise ClipFolderError(f"{file} holds a {type(content).__name__}, expected an object. Download the file again.")
    return content


def read_config(folder: Path) -> ClipConfig:
    if not folder.is_dir():
        raise ClipFolderError(
            f"{folder} is not a folder. Expected a Hugging Face CLIP folder with config.json, model.safetensors, "
            "vocab.json and merges.txt; give its path."
        )
    file = folder / "config.json"
    if not file.is_file():
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
        raise ClipFolderError(
            f"{folder} has no config.json (found: {found}). Expected the Hugging Face layout of a CLIP model; an "
            "open_clip checkpoint must be converted first."
        )
    raw = read_json(file)
    family = raw.get("model_type")
    if family not in ("clip", "siglip"):
        raise ClipFolderError(
            f"{file} describes a {family or 'model without a model_type'!r}, expected 'clip' or 'siglip' with both "
            "towers. Choose such a checkpoint, as openai/clip-vit-base-patch32 or google/siglip-base-patch16-224."
        )
    siglip = family == "siglip"
    image = _read_image_processing(folder, ((0.5,) * 3, (0.5,) * 3) if siglip else (IMAGE_MEAN, IMAGE_STD))
    try:
        text = (SIGLIP_TEXT if siglip else TEXT_DEFAULTS) | _section(raw, "text")
        vision = (SIGLIP_VISION if siglip else VISION_DEFAULTS) | _section(raw, "vision")
        config = ClipConfig(
            family=family,
            text=_tower(text),
            vision=_tower(vision),
            dim=_siglip_dim(text, vision) if siglip else count({"projection_dim": 512} | raw, "projection_dim"),
            vocab_size=count(text, "vocab_size"),
            context=count(text, "max_position_embeddings"),
            eos_token_id=count(text, "eos_token_id"),
            image_size=count(vision, "image_size"),
            patch_size=count(vision, "patch_size"),
            **image,
        )
        if vision.get("num_channels", 3) != 3:
            raise ValueError(f"num_channels {vision['num_channels']} instead of 3")
        if config.image_size % config.patch_size and not siglip:
            raise ValueError(f"image_size {config.image_size} does not divide into patch_size {config.patch_size}")
    except (TypeError, ValueError) as error:
        raise ClipFolderError(
            f"{file} is not of a CLIP that this project reads: {error}. Download it again, or choose another CLIP."
        ) from error
    return config


def _siglip_dim(text: dict[str, Any], vision: dict[str, Any]) -> int:
    """The width of its image tower, into which its texts are projected."""
    if not vision.get("vision_use_head", True):
        raise ValueError("its image tower has no pooling head (vision_use_head is false)")
    dim, projected = count(vision, "hidden_size"), text.get("projection_size") or text["hidden_size"]
    if projected != dim:
        raise ValueError(f"texts are projected to {projected} and images to {dim} numbers")
    return dim


def count(raw: dict[str, Any], key: str) -> int:
    if not isinstance(raw[key], int) or raw[key] < 1:
        raise ValueError(f"{key} is {raw[key]!r}, expected a positive whole number")
    return raw[key]


def _section(raw: dict[str, Any], side: str) -> dict[str, Any]:
    """One tower's fields. Files of 2022 carry `*_config_dict`, which transformers lets win as a whole."""
    legacy = raw.get(f"{side}_config_dict")
    return dict(legacy if legacy is not None else raw.get(f"{side}_config") or {})


def _tower(raw: dict[str, Any]) -> TowerConfig:
    tower = TowerConfig(
        width=count(raw, "hidden_size"),
        layers=count(raw, "num_hidden_layers"),
        heads=count(raw, "num_attention_heads"),
        mlp_width=count(raw, "intermediate_size"),
        activation=raw.get("hidden_act", "quick_gelu"),
        norm_epsilon=float(raw.get("layer_norm_eps", 1e-5)),
    )
    if tower.activation not in ACTIVATIONS:
        raise ValueError(f"hidden_act {tower.activation!r} is none of {', '.join(ACTIVATIONS)}")
    if tower.width % tower.heads:
        raise ValueError(f"hidden_size {tower.width} does not divide by num_attention_heads {tower.heads}")
    return tower


def _read_image_processing(folder: Path, usual: tuple[tuple[float, ...], tuple[float, ...]]) -> dict[str, Any]:
    """How the checkpoint wants its images; transformers 5 writes it inside processor_config.json."""
    file, raw = folder / "preprocessor_config.json", {}
    if file.is_file():
        raw = read_json(file)
    elif (folder / "processor_config.json").is_file():
        file = folder / "processor_config.json"
        raw = read_json(file).get("image_processor")
    try:
        raw = {"do_normalize": True, "image_mean": usual[0], "image_std": usual[1], "resample": 3} | dict(raw or {})
        mean, std = (raw["image_mean"], raw["image_std"]) if raw["do_normalize"] else ((0.0,) * 3, (1.0,) * 3)
        mean, std = tuple(map(float, mean)), tuple(map(float, std))
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0.0:
            raise ValueError(f"mean {mean} and std {std} are not of three channels, or a std is not positive")
        return {"image_mean": mean, "image_std": std, "resample": RESAMPLE[raw["resample"]]}
    except (TypeError, ValueError, KeyError) as error:
        raise ClipFolderError(f"{file} does not say how to prepare images: {error}. Download it again.") from error
