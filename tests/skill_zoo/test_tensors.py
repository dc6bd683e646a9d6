"""safetensors: parity with the reference package both ways, equal bytes for equal arrays, and attacks on the header."""

import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from skill_zoo.errors import CorruptArtifact, SkillZooError
from skill_zoo.tensors import read_tensors, write_tensors

ARRAYS = {
    "b/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array(2.5, np.float32),
    "empty": np.zeros((0, 4), np.float32),
}


def test_the_reference_package_reads_what_is_written():
    theirs = safetensors.numpy.load(write_tensors(ARRAYS, {"class": "X"}))
    assert theirs.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(theirs[name], value)


def test_what_the_reference_package_writes_is_read():
    arrays, metadata = read_tensors(safetensors.numpy.save(ARRAYS, {"class": "X", "é": "ü"}), "a file")
    assert metadata == {"class": "X", "é": "ü"}
    for name, value in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], value)
        assert arrays[name].shape == value.shape and arrays[name].dtype == np.float32


def test_bytes_depend_on_values_alone():
    forward = write_tensors(ARRAYS, {"a": "1", "b": "2"})
    backward = write_tensors(dict(reversed(ARRAYS.items())), {"b": "2", "a": "1"})
    strided = {name: value.astype(np.float64, order="F") for name, value in ARRAYS.items()}
    assert forward == backward == write_tensors(strided, {"a": "1", "b": "2"})


@pytest.mark.parametrize("values", [[np.nan], [-np.inf], [1e39], [1], ["x"], [None]])
def test_only_finite_floats_are_written(values):
    with pytest.raises(SkillZooError, match="tensor 'x'"):
        write_tensors({"x": np.array(values)}, {})


def file(header, body=b"\0" * 8, length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


ATTACKS = {
    "empty": b"",
    "short": b"\0" * 7,
    "length 2^63": file({"a": tensor()}, length=1 << 63),
    "length 2^64-1": file({"a": tensor()}, length=(1 << 64) - 1),
    "length beyond the end": file({"a": tensor()}, length=10_000),
    "header of 100 MB": file(b'{"a":"' + b"x" * 100_000_000 + b'"}'),
    "depth 10,000": file(b"[" * 10_000 + b"]" * 10_000),
    "depth 100,000 of objects": file(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "no JSON": file(b"{'a': 1}"),
    "no UTF-8": file(b'{"\xff": 1}'),
    "a list": file([]),
    "a duplicate key": file(b'{"a":%s,"a":%s}' % ((json.dumps(tensor()).encode(),) * 2)),
    "a number of 5,000 digits": file(b'{"a":' + b"9" * 5000 + b"}"),
    "metadata of numbers": file({"__metadata__": {"a": 1}, "a": tensor()}),
    "overlap": file({"a": tensor(), "b": tensor(offsets=(4, 12))}, b"\0" * 12),
    "the same bytes twice": file({"a": tensor(), "b": tensor()}),
    "a gap": file({"a": tensor(), "b": tensor(offsets=(12, 20))}, b"\0" * 20),
    "bytes left over": file({"a": tensor()}, b"\0" * 9),
    "beyond the end": file({"a": tensor(offsets=(8, 16))}),
    "not from zero": file({"a": tensor(offsets=(4, 12))}, b"\0" * 12),
    "negative": file({"a": tensor(offsets=(-8, 0))}),
    "backwards": file({"a": tensor(offsets=(8, 0))}),
    "size against shape": file({"a": tensor(shape=(3,))}),
    "shape of overflow": file({"a": tensor(shape=(1 << 62, 4))}),
    "negative shape": file({"a": tensor(shape=(-1, -2))}),
    "a shape of truths": file({"a": tensor(shape=(True, 2))}),
    "a shape of halves": file({"a": tensor(shape=(0.5, 4))}),
    "1,000 dimensions": file({"a": tensor(shape=(2, *[1] * 1000))}),
    "huge and empty": file({"a": tensor(shape=(0, 1 << 60), offsets=(0, 0))}, b""),
    "another type": file({"a": tensor(dtype="F64", shape=(1,))}),
    "another field": file({"a": tensor(extra=1)}),
    "no field": file({"a": {}}),
    "a NaN": file({"a": tensor()}, struct.pack("<2f", 0, float("nan"))),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_the_header(name):
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(CorruptArtifact):
        read_tensors(ATTACKS[name], "a file")
    assert time.monotonic() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_random_damage_gives_typed_errors_or_another_valid_file():
    rng = np.random.default_rng(0)
    data = write_tensors(ARRAYS, {"class": "X"})
    for _ in range(2000):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        try:
            read_tensors(bytes(damaged[: rng.integers(0, len(data) + 1)]), "a file")
        except CorruptArtifact:
            continue
