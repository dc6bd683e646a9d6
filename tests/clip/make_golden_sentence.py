"""A tiny random BERT, and what transformers on torch makes of it: the reference of test_sentence.py.

    python tests/clip/make_golden_sentence.py     # rewrites tests/clip/golden/bert; needs torch and transformers 5

Every parameter is perturbed: at their initial values norms and biases are ones and zeros, and hide what is left out.
"""

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "bert"
TEXTS = ("raise two arms", "Raise  TWO arms.", "walk backwards, then kick the ball!", "arms", "dança 踊る 3")
PIECES = (
    "raise",
    "two",
    "arm",
    "##s",
    "walk",
    "back",
    "##wards",
    "then",
    "kick",
    "the",
    "ball",
    "danc",
    "##a",
    ",",
    ".",
    "!",
)


def write_bert(folder: Path, seed: int) -> None:
    """A whole BERT folder with random weights: vocab.txt, no tokenizer.json."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
    torch.manual_seed(seed)
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=128, layer_norm_eps=1e-3, **shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.config.save_pretrained(folder)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file({**state, "embeddings.position_ids": torch.arange(128)[None]}, folder / "model.safetensors")


def reference_vectors(folder: Path, texts: tuple[str, ...]) -> np.ndarray:
    """transformers' own layers, the mean over the attention mask, unit rows: what sentence-transformers does."""
    import torch
    from transformers import BertModel, BertTokenizer

    model = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = BertTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    with torch.no_grad():
        seen = model(**tokens).last_hidden_state
    there = tokens["attention_mask"][..., None].float()
    return torch.nn.functional.normalize((seen * there).sum(1) / there.sum(1), dim=-1).numpy()


if __name__ == "__main__":
    write_bert(GOLDEN, seed=7)
    np.savez_compressed(GOLDEN / "expected.npz", vectors=reference_vectors(GOLDEN, TEXTS))
