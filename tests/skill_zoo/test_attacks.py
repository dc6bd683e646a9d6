"""The attacks and the fuzz of `make torture`, a little of each."""

import attacks
from fuzz import fuzz, targets

INPUTS = 10_000


def test_headers_that_lie_are_refused_at_once():
    cases, wrong = attacks.header_attacks()
    assert cases > 20 and not wrong


def test_no_name_leads_out_of_the_root(memory_folder):
    cases, wrong = attacks.traversal(memory_folder / "t")
    assert cases >= 300 and not wrong


def test_flipped_bits_are_found(memory_folder):
    cases, wrong = attacks.bit_flips(memory_folder, 2000)
    assert cases == 2000 and not wrong


def test_swaps_replacements_and_bombs_are_found(memory_folder):
    cases, wrong = attacks.swaps(memory_folder)
    assert cases > 20 and not wrong


def test_fuzz_of_everything_that_is_read(memory_folder):
    inputs = 0
    for number, (name, share, seeds, read) in enumerate(targets(memory_folder)):
        found = fuzz(seeds, read, round(INPUTS * share), number)
        assert found.refused and not found.wrong, name
        inputs += found.inputs
    assert inputs >= INPUTS


def test_the_fuzz_notices_untyped_errors_and_code_that_runs():
    def careless(data: bytes) -> None:
        if len(data) != 100:
            exec(compile("1", "a fuzz", "exec"))
            raise LookupError("not typed")

    found = fuzz([bytes(100)], careless, 50, 0)
    assert any("LookupError" in problem for problem in found.wrong)
    assert any("ran code: exec" in problem for problem in found.wrong)
