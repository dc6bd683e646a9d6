"""safetensors, the part of it that weights need: finite float32 arrays under names, byte-deterministic, no code.

The format is eight bytes of header length, a JSON header, the raw arrays. Written here rather than by the `safetensors`
package because its metadata comes out in hash order, and equal objects must have equal bytes; the tests hold both
directions against that package. The reader allows no gap, overlap or unknown type and no header above 4 MiB.
"""

import json
import math
from collections.abc import Mapping

import numpy as np

from skill_zoo.errors import CorruptArtifact, SkillZooError
from skill_zoo.manifest import strict_json

_MAX_HEADER_BYTES = 4 << 20
_MAX_DIMS = 8
_METADATA = "__metadata__"


def write_tensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Float arrays (any shape, stored as float32) and texts -> bytes that depend on nothing else."""
    header: dict[str, object] = {_METADATA: dict(sorted(metadata.items()))}
    chunks, offset = [], 0
    for name, value in sorted(tensors.items()):
        array = np.asarray(value)
        if not np.issubdtype(array.dtype, np.floating):
            raise SkillZooError(
                f"tensor {name!r} is {array.dtype}; weights are floats, whole numbers belong in the config"
            )
        with np.errstate(over="ignore"):
            data = array.astype("<f4")
        if not np.isfinite(data).all():
            raise SkillZooError(f"tensor {name!r} has NaN or infinite values; a broken policy is never published")
        chunk = data.tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # arrays start aligned
    if len(text) > _MAX_HEADER_BYTES:
        raise SkillZooError(
            f"{len(tensors)} tensors need a header of {len(text)} bytes; at most {_MAX_HEADER_BYTES} are read"
        )
    return b"".join([len(text).to_bytes(8, "little"), text, *chunks])


def read_tensors(data: bytes, what: object) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Bytes -> (arrays, metadata); `CorruptArtifact` names `what` and the first thing that is wrong."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _MAX_HEADER_BYTES):
        raise CorruptArtifact(what, f"a header of at most {min(len(data), _MAX_HEADER_BYTES)} bytes", length)
    header = strict_json(data[8 : 8 + length], what)
    if not isinstance(header, dict):
        raise CorruptArtifact(what, "a header that is an object", type(header).__name__)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise CorruptArtifact(what, "metadata that are texts", metadata)
    body, position, tensors = memoryview(data)[8 + length :], 0, {}
    spans = {name: _span(field, f"{what}, tensor {name!r:.80}") for name, field in header.items()}
    # In order of place, every array must start where the one before ended: no gap, no overlap.
    for name, (shape, begin, end) in sorted(spans.items(), key=lambda item: item[1][1:]):
        if begin != position or end > len(body):
            raise CorruptArtifact(
                f"{what}, tensor {name!r:.80}", f"data from byte {position}", f"{begin} to {end} of {len(body)}"
            )
        array = np.frombuffer(body[begin:end], "<f4").reshape(shape)
        if not np.isfinite(array).all():
            raise CorruptArtifact(f"{what}, tensor {name!r:.80}", "finite numbers", "NaN or infinity")
        tensors[name], position = array, end
    if position != len(body):
        raise CorruptArtifact(what, f"{position} bytes of arrays", len(body))
    return dict(sorted(tensors.items())), metadata


def _span(field: object, what: str) -> tuple[list[int], int, int]:
    """Shape, begin and end of one array [bytes], checked against each other."""
    if not isinstance(field, dict) or set(field) != {"dtype", "shape", "data_offsets"} or field["dtype"] != "F32":
        raise CorruptArtifact(what, "{dtype: F32, shape, data_offsets}", field)
    shape, offsets = field["shape"], field["data_offsets"]
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(shape) <= _MAX_DIMS and len(offsets) == 2
    if not lists or not all(type(n) is int and 0 <= n < 1 << 48 for n in [*shape, *offsets]):
        raise CorruptArtifact(what, "shape and data_offsets as whole numbers", field)
    begin, end = offsets
    if end - begin != 4 * math.prod(shape):
        raise CorruptArtifact(what, f"{4 * math.prod(shape)} bytes for shape {shape}", end - begin)
    return shape, begin, end
