"""Tiny random CLIP and SigLIP checkpoints, and what transformers on torch makes of them: the reference of these tests.

    python tests/clip/make_golden.py     # rewrites tests/clip/golden; needs torch 2.13 and transformers 5

Every parameter is perturbed: at their initial values norms and biases are ones and zeros, and hide what is left out.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
TEXTS = ("raise two arms", "Raise  TWO arms.", "", "walk backwards, then kick the ball!", "dança 踊る 3")
MERGES = ("a r", "ar m", "arm s</w>", "t w", "tw o</w>", "r a", "ra i", "rai s", "rais e</w>", "k i", "c k</w>")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@dataclass(frozen=True)
class Variant:
    """What differs between checkpoints of the same architecture."""

    name: str
    activation: str
    legacy: bool  # eos_token_id 2 and stored position_ids, as before mid-2023
    half: bool  # float16 weights
    shards: int


VARIANTS = (
    Variant("quick", activation="quick_gelu", legacy=False, half=False, shards=1),
    Variant("exact", activation="gelu", legacy=True, half=True, shards=2),
)


def write_tokenizer(folder: Path) -> dict[str, int]:
    """CLIP's layout in small: bytes, bytes that end a word, merges, then the special tokens with the highest ids."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    words = alphabet + [f"{letter}</w>" for letter in alphabet] + [merge.replace(" ", "") for merge in MERGES]
    vocab = {word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]), encoding="utf-8")
    return vocab


def write_checkpoint(folder: Path, variant: Variant, seed: int, full_size: bool = False) -> None:
    """A whole CLIP folder with random weights; `full_size` is ViT-B/32."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_tokenizer(folder)
    end = len(vocab) - 1
    text = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"max_position_embeddings": 48, "vocab_size": len(vocab), "layer_norm_eps": 1e-4}
    vision = {"hidden_size": 24, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8, "layer_norm_eps": 1e-3}
    if full_size:
        text, vision = {}, {}
    text |= {"bos_token_id": end - 1, "eos_token_id": 2 if variant.legacy else end, "hidden_act": variant.activation}
    vision |= {"hidden_act": variant.activation}
    dim = 512 if full_size else 12
    torch.manual_seed(seed)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=dim))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_((0.02 if full_size else 0.2) * torch.randn_like(parameter))
    model.config.save_pretrained(folder)
    state = {name: (value.half() if variant.half else value).contiguous() for name, value in model.state_dict().items()}
    if variant.legacy:
        state["text_model.embeddings.position_ids"] = torch.arange(48)[None]
        state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    names = sorted(state)
    if variant.shards == 1:
        save_file(state, folder / "model.safetensors")
    else:
        files = [f"model-{shard + 1:05}-of-{variant.shards:05}.safetensors" for shard in range(variant.shards)]
        for shard, file in enumerate(files):
            save_file({name: state[name] for name in names[shard :: variant.shards]}, folder / file)
        weight_map = {name: files[index % variant.shards] for index, name in enumerate(names)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    processor = {"image_mean": MEAN, "image_std": STD, "do_normalize": True, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


SIGLIP_TEXTS = ("raise two arms", "Raise  TWO arms!", "walk backwards, then kick the ball", "踊る")
SIGLIP_PLAIN = (
    "raise two arms",
    "raise two arms",
    "walk backwards then kick the ball",
    "踊る",
)  # as its tokenizer says
SIGLIP_CONTEXT = 12


def write_siglip(folder: Path, seed: int) -> None:
    """A whole SigLIP folder with random weights and a tokenizer of words."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import SiglipConfig, SiglipModel

    folder.mkdir(parents=True, exist_ok=True)
    known = ["<unk>", "</s>", "raise", "two", "arms", "walk", "backwards", "then", "kick", "the", "ball"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "unk_token": "<unk>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    text = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"max_position_embeddings": SIGLIP_CONTEXT, "vocab_size": len(known), "layer_norm_eps": 1e-4}
    text |= {"projection_size": 24, "pad_token_id": 1, "eos_token_id": 1}
    vision = {"hidden_size": 24, "intermediate_size": 56, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8, "layer_norm_eps": 1e-3}
    torch.manual_seed(seed)
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.config.save_pretrained(folder)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    processor = {"image_mean": MEAN, "image_std": STD, "do_normalize": True, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


def siglip_reference(folder: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """transformers' own unit features of `images [N, H, W, 3]` uint8 and of `SIGLIP_PLAIN`."""
    import torch
    from transformers import PreTrainedTokenizerFast, SiglipModel

    model = SiglipModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = (torch.from_numpy(images) / 255.0 - torch.tensor(MEAN)) / torch.tensor(STD)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="</s>")
    ids = tokenizer(list(SIGLIP_PLAIN), padding="max_length", max_length=SIGLIP_CONTEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        outputs = model(pixel_values=pixels.permute(0, 3, 1, 2), input_ids=ids)
    return outputs.image_embeds.numpy(), outputs.text_embeds.numpy()


def make_images(size: int, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def reference_features(folder: Path, images: np.ndarray, texts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """transformers' own unit features of `images [N, H, W, 3]` uint8 and of `texts`."""
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = (torch.from_numpy(images) / 255.0 - torch.tensor(MEAN)) / torch.tensor(STD)
    tokens = CLIPTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        outputs = model(pixel_values=pixels.permute(0, 3, 1, 2), **tokens)
    return outputs.image_embeds.numpy(), outputs.text_embeds.numpy()


if __name__ == "__main__":
    for seed, variant in enumerate(VARIANTS):
        folder = GOLDEN / variant.name
        write_checkpoint(folder, variant, seed)
        images = make_images(32, 3, seed)
        image_features, text_features = reference_features(folder, images, TEXTS)
        np.savez_compressed(folder / "expected.npz", images=images, image=image_features, text=text_features)
    write_siglip(GOLDEN / "siglip", seed=5)
    images = make_images(32, 3, 5)
    image_features, text_features = siglip_reference(GOLDEN / "siglip", images)
    np.savez_compressed(GOLDEN / "siglip" / "expected.npz", images=images, image=image_features, text=text_features)
