"""The manifest: canonical bytes, strict parsing, and typed errors for anything else."""

import hashlib
import json

import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from skill_zoo.errors import CorruptArtifact, SkillZooError, UnsupportedFormat
from skill_zoo.ids import SkillId
from skill_zoo.manifest import FileRef, LowLevelRef, Manifest, canonical_json, plain, strict_json

INTERFACE = {
    "action_dim": 28,
    "character_sha256": "c" * 64,
    "control_dt": 0.033333,
    "latent_dim": 64,
    "obs_dim": 223,
    "obs_layout": [["root_height", 1]],
}
MANIFEST = Manifest(
    id=SkillId("humanoid", "wave", 2),
    kind="skill",
    files={"weights.safetensors": FileRef(10, "a" * 64), "preview.gif": FileRef(0, "b" * 64)},
    code_version="anyskill-brax 0.1.0",
    created="2026-01-31T12:00:00Z",
    instruction="wave your right hand, naïvely — 挥手",
    low_level=LowLevelRef(SkillId("humanoid", "low-level", 1), "d" * 64),
    interface=INTERFACE,
    metrics={"score": 0.1, "role": "judge"},
    config={"widths": [1024, 512]},
    motions={"walk": "CC BY 4.0"},
    admission={"status": "admitted", "reasons": [], "measured": {"fell": 0.0}},
    command=("tools/train_batch.py", "--zoo", "my_zoo"),
)


def signed(**changes) -> bytes:
    """The manifest with fields changed (None: removed) and its sha256 made to fit again."""
    fields = {**MANIFEST.to_json(), **changes}
    fields = {name: value for name, value in fields.items() if value is not ...}
    digest = hashlib.sha256(canonical_json(fields)).hexdigest()
    return canonical_json({**fields, "sha256": digest})


def test_a_manifest_reads_back_and_writes_the_same_bytes():
    data = MANIFEST.to_bytes()
    again = Manifest.from_bytes(data, "a test")
    assert again == MANIFEST and again.to_bytes() == data == signed()


def test_every_changed_byte_is_found():
    data = MANIFEST.to_bytes()
    for place in range(len(data)):
        for change in (1, 32):  # 32 turns a letter's case
            damaged = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            with pytest.raises((CorruptArtifact, UnsupportedFormat)):
                Manifest.from_bytes(damaged, "a test")
    for other in (data + b"\n", data[:-1], b" " + data, json.dumps(json.loads(data)).encode()):
        with pytest.raises(CorruptArtifact):
            Manifest.from_bytes(other, "a test")


@pytest.mark.parametrize("version", [0, 3, "1", 1.5, None, True, [], 10**30])
def test_other_formats_are_named(version):
    with pytest.raises(UnsupportedFormat, match="reads 1 to 2"):
        Manifest.from_bytes(signed(format_version=version), "a test")


WRONG = [
    {"id": "humanoid/wave"},
    {"id": "../wave-v1"},
    {"id": 3},
    {"kind": "pickle"},
    {"kind": None},
    {"kind": ["skill"]},
    {"created": "yesterday"},
    {"created": "2026-01-31T12:00:00Z\n"},
    {"instruction": 1},
    {"instruction": "x" * 1001},
    {"instruction": "\x1b[31mred"},
    {"code_version": None},
    {"low_level": None},
    {"low_level": {"id": "humanoid/low-level", "sha256": "d" * 64}},
    {"low_level": {"id": "humanoid/low-level-v1", "sha256": "D" * 64}},
    {"low_level": {"id": "humanoid/low-level-v1"}},
    {"kind": "low_level"},  # which pins nothing
    {"interface": {}},
    {"interface": {**INTERFACE, "more": 1}},
    {"metrics": []},
    {"config": None},
    {"motions": {"walk": 1}},
    {"files": {}},
    {"files": []},
    {"files": {"weights.safetensors": {"size": -1, "sha256": "a" * 64}}},
    {"files": {"weights.safetensors": {"size": True, "sha256": "a" * 64}}},
    {"files": {"weights.safetensors": {"size": 1 << 60, "sha256": "a" * 64}}},
    {"files": {"weights.safetensors": {"size": 1, "sha256": "../" + "a" * 61}}},
    {"files": {"weights.safetensors": {"size": 1, "sha256": "a" * 64, "path": "/etc/passwd"}}},
    *(
        {"files": {**MANIFEST.to_json()["files"], name: {"size": 1, "sha256": "a" * 64}}}
        for name in ("../a.md", "a", "A.md")
    ),
    {"files": {f"{n}.md": {"size": 1, "sha256": "a" * 64} for n in range(100)}},
    {"extra": 1},
    {"format_version": 1},  # whose manifests say nothing of admission
    {"admission": {"status": "admitted"}},
    {"admission": {"status": "exempt", "reasons": [], "measured": {}}},  # a skill is never exempt
    {"admission": {"status": "unverified", "reasons": ["\x1b[31mred"], "measured": {}}},
    {"command": "rm -rf /"},
    {"command": [1]},
    {"motions": ...},
]


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: next(iter(changes)))
def test_every_field_is_checked(changes):
    with pytest.raises(CorruptArtifact):
        Manifest.from_bytes(signed(**changes), "a test")


def test_a_manifest_that_would_not_be_read_is_not_written():
    for wrong in (
        {"created": "today"},
        {"instruction": "two\nlines"},
        {"files": {}},
        {"config": {"x": "y" * (1 << 20)}},
    ):
        with pytest.raises(CorruptArtifact):
            Manifest(**{**vars(MANIFEST), **wrong}).to_bytes()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 50_000, b'{"a":1,"a":2}', b"NaN", b"[Infinity]", b"9" * 5000, b"1e999", b"\xff", b'"\xed'],
)
def test_json_is_strict(data):
    with pytest.raises(CorruptArtifact):
        strict_json(data, "a test")


def test_depth_is_limited_and_brackets_in_texts_are_not_depth():
    assert strict_json(json.dumps("[" * 100).encode(), "a test") == "[" * 100
    strict_json(b"[" * 20 + b"]" * 20, "a test")
    with pytest.raises(CorruptArtifact):
        strict_json(b"[" * 40 + b"]" * 40, "a test")


def test_configs_become_plain_json():
    config = ml_collections.ConfigDict(
        {"lr": np.float32(0.5), "widths": (4, np.int64(2)), "net": {"gain": jnp.ones(2)}}
    )
    assert plain(config) == {"lr": 0.5, "widths": [4, 2], "net": {"gain": [1.0, 1.0]}}
    for wrong in (float("nan"), np.float32("inf"), {"a": object()}, [b"bytes"]):
        with pytest.raises(SkillZooError):
            plain(wrong)
