"""The zoo by name: `save`, `load`, `list_skills`, `describe`, `verify`."""

import datetime
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anyskill_brax import __version__
from skill_zoo import codecs
from skill_zoo.aliases import set_alias
from skill_zoo.errors import InterfaceMismatch, SkillNotFound, SkillZooError
from skill_zoo.ids import SkillId, check_name
from skill_zoo.lock import find_locked
from skill_zoo.manifest import KINDS, STEERING_KINDS, WEIGHTS, FileRef, LowLevelRef, Manifest, check_file_name, plain
from skill_zoo.search import (
    Entry,
    Folder,
    Id,
    controller_roots,
    controller_with,
    entries,
    entry_roots,
    find,
    find_reward_model,
    pinned_controller,
    refresh_index,
    save_target,
)
from skill_zoo.store import Store
from skill_zoo.text_search import TextEncoder, rank

_controllers: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""Low-level controllers in memory, by the sha256 of their weights: a thousand skills share one."""
_encoders: dict[str, Any] = {}
"""The reward model that searches by meaning, by the sha256 of its weights; it keeps the texts that it has embedded."""


def save(
    obj: Any,
    name: str,
    *,
    character: str = "humanoid",
    zoo: Folder | None = None,
    instruction: str | None = None,
    low_level: Id | None = None,
    metrics: Mapping[str, Any] | None = None,
    config: Any = None,
    motions: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    command: Sequence[str] = (),
    code: str = "",
    created: datetime.datetime | None = None,
    admission: Any = None,
    force: bool = False,
) -> SkillId:
    """Publish an object as the next version of `character/name` and return its id.

    A `Skill` passes the gate first (`skill_zoo.admission`) or is `NotAdmitted`; `admission` is what the gate found, if
    it has been asked. With `force` it is published all the same, unexamined, and its manifest says `unverified`.

    `zoo` is the folder to publish to, by default the first of `SKILL_ZOO_PATH`. A `MultiSkillPolicy` names its
    published `low_level`; a `Skill` brings its controller, which must have been published too and is found by its
    sha256. `motions` maps each motion behind the weights to its licence. `files` ride along: preview.gif, card.md, ...
    `command` is what made it: a file of tools/ and its arguments; `code` the commit of these. `created` (now by
    default) makes a publish reproducible.
    """
    target = save_target(zoo)
    skill_id = SkillId(check_name(character), check_name(name))
    kind = codecs.kind_of(obj)
    if WEIGHTS in (files or {}):
        raise SkillZooError(f"{WEIGHTS} is written by save; give the other file another name")
    contents = {check_file_name(file): bytes(data) for file, data in (files or {}).items()} | {
        WEIGHTS: codecs.encode(obj)
    }
    controller, pin = (obj if kind == "low_level" else None), None
    if kind in STEERING_KINDS:
        entry = _controller_to_pin(obj, low_level, controller_roots(target))
        controller, pin = _load_controller(entry), LowLevelRef(entry.id, entry.manifest.weights.sha256)
    interface = codecs.interface_of(obj if controller is None else controller, kind, character)
    codecs.decode(contents[WEIGHTS], kind, f"the {kind} to be saved", controller, pin)
    admitted = _admit(obj, kind, admission, force, str(skill_id), target)
    moment = (created or datetime.datetime.now(datetime.UTC)).astimezone(datetime.UTC)

    def manifest(version: SkillId, refs: Mapping[str, FileRef]) -> bytes:
        return Manifest(
            id=version,
            kind=kind,
            files=refs,
            code_version=", ".join(filter(None, (f"anyskill-brax {__version__}", code))),
            created=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            instruction=getattr(obj, "instruction", "") if instruction is None else instruction,
            low_level=pin,
            interface=interface,
            metrics=plain(metrics or {}),
            config=plain(config or {}),
            motions=plain(motions or {}),
            admission=plain(admitted),
            command=tuple(map(str, command)),
        ).to_bytes()

    # Once for nothing: whatever is wrong with the manifest shows before a byte is written.
    manifest(skill_id.at(1), {file: FileRef.of(data) for file, data in contents.items()})
    published = Store(target).publish(skill_id, contents, manifest)
    refresh_index(target)
    return published


def _admit(obj: Any, kind: str, admission: Any, force: bool, what: str, zoo: Path) -> dict[str, Any]:
    """The `admission` field of a manifest; only skills pass the gate."""
    if kind != "skill":
        return {"status": "exempt", "reasons": [], "measured": {}}
    from skill_zoo.admission import FORCED, examine

    if admission is None:
        admission = FORCED if force else examine(obj, load_entry(find_reward_model("judge", zoo), []))
    return admission.to_json(force, what)


def load(id: Id, zoo: Folder | None = None, *, lock: Folder | None = None) -> Any:
    """The object behind an id: a `LowLevelController`, `Skill`, `MultiSkillPolicy` or reward model.

    `humanoid/wave-right-hand` means its newest version, `...@v2`, `...@stable` and `...@sha256:1234567890ab` the one
    named; with a `lock` file, the name means what is locked there. Every byte is verified; equal low-level controllers
    are shared; nothing is compiled.
    """
    return load_entry(find(id, zoo) if lock is None else find_locked(id, lock, zoo), controller_roots(zoo))


def load_low_level(id: Id, zoo: Folder | None = None) -> Any:
    """The controller that a skill or multi-skill policy pins (one object for all that pin it)."""
    return _load_controller(pinned_controller(find(id, zoo).manifest, controller_roots(zoo)))


def describe(id: Id, zoo: Folder | None = None) -> Manifest:
    """The manifest behind an id."""
    return find(id, zoo).manifest


def alias(id: Id, alias: str, zoo: Folder | None = None) -> SkillId:
    """Make `character/name@alias` mean the version behind `id`, until it is set again; returns that version.

    Written to the folder that holds the entry. Loading through an alias checks that the version is still the same.
    """
    entry = find(id, zoo)
    set_alias(Store(entry.root), alias, entry.manifest)
    return entry.id


def read_file(id: Id, name: str, zoo: Folder | None = None) -> bytes:
    """One file of an entry (`describe(id).files` names them), verified."""
    return find(id, zoo).read(name)


def list_skills(
    character: str | None = None,
    kind: str | None = None,
    query: str | None = None,
    zoo: Folder | None = None,
    *,
    encoder: TextEncoder | None = None,
    all_versions: bool = False,
) -> list[Entry]:
    """The newest version (or all) of every entry, sorted by id; with a `query`, best match first.

    A query is compared by words with names and instructions, and by meaning through the text side of `encoder`, by
    default of the zoo's published reward model; where there is none, only entries that share words with it are left.
    """
    if kind is not None and kind not in KINDS:
        raise SkillZooError(f"no kind {kind!r:.80}; there are {', '.join(KINDS)}")
    found = entries(entry_roots(zoo), all_versions, kind)
    kept = sorted((e for e in found if character in (None, e.id.character)), key=lambda e: e.id)
    return kept if query is None or not kept else rank(kept, query, encoder or text_encoder(zoo))


def decode_entry(manifest: Manifest, weights: bytes, controller: Any = None) -> Any:
    """The object of a manifest and its verified weights; kinds that steer get their controller."""
    codecs.check_interface(manifest.interface, manifest.id.character, manifest.id)
    return codecs.decode(weights, manifest.kind, f"{WEIGHTS} of {manifest.id}", controller, manifest.low_level)


def check_pin(manifest: Manifest, controller: Manifest) -> None:
    """`InterfaceMismatch` unless a skill and the controller under it state the same interface."""
    if manifest.interface != controller.interface:
        ours, theirs = dict(manifest.interface), dict(controller.interface)
        raise InterfaceMismatch(f"{manifest.id} and its low-level controller {controller.id}", ours, theirs)


def load_entry(entry: Entry, roots: list[Path]) -> Any:
    """The object of an entry whose controller is looked for in `roots`."""
    if entry.kind == "low_level":
        return _load_controller(entry)
    if entry.kind not in STEERING_KINDS:
        return decode_entry(entry.manifest, entry.read(WEIGHTS))
    controller = pinned_controller(entry.manifest, roots)
    check_pin(entry.manifest, controller.manifest)
    return decode_entry(entry.manifest, entry.read(WEIGHTS), _load_controller(controller))


def _load_controller(entry: Entry) -> Any:
    sha256 = entry.manifest.weights.sha256
    controller = _controllers.get(sha256)
    if controller is None:
        controller = decode_entry(entry.manifest, entry.read(WEIGHTS))
        _controllers[sha256] = controller
    return controller


def text_encoder(zoo: Folder | None = None) -> TextEncoder | None:
    """The published reward model whose text side ranks what is searched for, loaded once; None if there is none."""
    try:
        entry = find_reward_model("reward", zoo)
    except SkillNotFound:
        return None
    sha256 = entry.summary.weights
    if sha256 not in _encoders:
        _encoders.clear()
        _encoders[sha256] = load_entry(entry, [])
    return _encoders[sha256]


def _controller_to_pin(obj: Any, low_level: Id | None, roots: list[Path]) -> Entry:
    """The published controller that an object about to be saved stands on."""
    carried = getattr(obj, "low_level", None)
    sha256 = "" if carried is None else FileRef.of(codecs.encode(carried)).sha256
    if low_level is not None:
        home = next((root for root in roots if Store(root).resolve(SkillId.parse(low_level))), None)
        entry = find(low_level, home)
    elif not sha256:
        raise SkillZooError(f"a {type(obj).__name__} is saved with low_level=<id of the controller it steers>")
    else:
        entry = controller_with(sha256, roots)
        if entry is None:
            advice = "Publish it first: skill_zoo.save(skill.low_level, 'low-level')."
            raise SkillNotFound(f"the skill's low-level controller (sha256 {sha256})", roots, advice=advice)
    if entry.kind != "low_level":
        raise SkillZooError(f"{entry.id} is a {entry.kind}; a skill stands on a low_level")
    if sha256 and sha256 != entry.manifest.weights.sha256:
        raise InterfaceMismatch(f"the skill's controller and {entry.id}", sha256, entry.manifest.weights.sha256)
    return entry
