"""`push` and `pull`: whole entries, with the controllers they stand on, between a zoo and a remote.

A remote is a folder of the zoo's layout, an archive (`.tar`), or a Hugging Face repository of that layout
(`hf://user/repo`, or `hf://user/repo@revision`), reached through `huggingface_hub` when it is named, never otherwise.
Everything is read, verified and decoded before the first byte is written, and versions keep their numbers: other
content under the same id is `IdTaken`.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skill_zoo.archive import export_archive, import_archive
from skill_zoo.errors import IdTaken, RemoteError, SkillZooError
from skill_zoo.ids import SkillId
from skill_zoo.manifest import STEERING_KINDS
from skill_zoo.search import (
    Entry,
    Folder,
    Id,
    cache,
    controller_roots,
    entries,
    entry_roots,
    find,
    pinned_controller,
    refresh_index,
)
from skill_zoo.store import Store, blob_parts, manifest_parts
from skill_zoo.zoo import load_entry

_HUB = "hf://"


def push(remote: Folder, ids: Iterable[Id] | None = None, zoo: Folder | None = None) -> list[SkillId]:
    """Copy entries (by default the newest of every name) to a remote; returns the ids that are there now."""
    where = str(remote)
    if where.endswith(".tar"):
        wanted = list(ids or [])
        if len(wanted) != 1:
            raise SkillZooError(f"an archive holds one entry and its controller, {len(wanted)} are named")
        return [export_archive(wanted[0], where, zoo)]
    closed = _with_controllers(_chosen(ids, zoo), controller_roots(zoo))
    if where.startswith(_HUB):
        return _push_to_hub(where, closed)
    return _copy(closed, controller_roots(zoo), Path(where).expanduser())


def pull(remote: Folder, ids: Iterable[Id] | None = None, zoo: Folder | None = None) -> list[SkillId]:
    """Copy entries (by default the newest of every name) from a remote to `zoo`, by default to `~/.cache/skill_zoo`."""
    target = cache() if zoo is None else Path(zoo).expanduser()
    where = str(remote)
    if where.endswith(".tar"):
        if ids is not None:
            raise SkillZooError("an archive is pulled as a whole; leave out the ids")
        return import_archive(where, target)
    if where.startswith(_HUB):
        with _hub_copy(where, ids) as folder:
            return pull(folder, ids, target)
    root = Path(where).expanduser()
    if not root.is_dir():
        raise SkillZooError(f"no zoo at {root}; a remote is a folder, an archive (.tar) or {_HUB}user/repo")
    return _copy(_with_controllers(_chosen(ids, root), [root]), [root], target)


def _chosen(ids: Iterable[Id] | None, zoo: Folder | None) -> list[Entry]:
    return list(entries(entry_roots(zoo))) if ids is None else [find(id, zoo) for id in ids]


def _with_controllers(found: list[Entry], roots: list[Path]) -> list[Entry]:
    """Controllers first: no moment shows a skill without the one it stands on."""
    pinned = [pinned_controller(e.manifest, [e.root, *roots]) for e in found if e.kind in STEERING_KINDS]
    return list({(e.id, e.manifest.sha256): e for e in [*pinned, *found]}.values())


def _copy(found: list[Entry], roots: list[Path], target: Path) -> list[SkillId]:
    store = Store(target)
    for entry in found:
        load_entry(entry, [entry.root, *roots])
        for name in entry.manifest.files:
            entry.read(name)
        store.check_free(entry.id, entry.manifest.to_bytes())
    store.commit_all((e.id, {name: e.read(name) for name in e.manifest.files}, e.manifest.to_bytes()) for e in found)
    refresh_index(target)
    return [entry.id for entry in found]


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise SkillZooError("Hugging Face repositories need its client: pip install huggingface_hub") from error
    return huggingface_hub


def _repository(remote: str) -> tuple[str, str | None]:
    """The name of a repository and the revision asked for."""
    name, _, revision = remote.removeprefix(_HUB).partition("@")
    if name.count("/") != 1 or not all(name.split("/")):
        raise SkillZooError(f"{remote} is no repository; expected {_HUB}user/repo or {_HUB}user/repo@revision")
    return name, revision or None


@contextmanager
def _hub_copy(remote: str, ids: Iterable[Id] | None) -> Iterator[Path]:
    """A folder with the manifests of a repository and the blobs that the wanted entries need."""
    name, revision = _repository(remote)

    def fetch(patterns: list[str]) -> None:
        try:
            snapshot = _hub().snapshot_download(name, revision=revision, allow_patterns=patterns)
            if Path(snapshot).is_dir():  # it does not exist where nothing matches
                shutil.copytree(snapshot, folder, dirs_exist_ok=True)  # plain files: the hub's cache is made of links
        except (OSError, ValueError, RuntimeError, shutil.Error) as error:
            raise RemoteError(remote, error) from error

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fetch(["entries/**"])
        found = _with_controllers(_chosen(ids, root), [root])
        fetch(["/".join(blob_parts(ref.sha256)) for e in found for ref in e.manifest.files.values()])
        yield root


def _push_to_hub(remote: str, found: list[Entry]) -> list[SkillId]:
    """One commit on top of the one that was looked at: of two who push the same version, one is refused."""
    name, revision = _repository(remote)
    hub = _hub()
    files = {"/".join(manifest_parts(e.id)): e.manifest.to_bytes() for e in found}
    try:
        api = hub.HfApi()
        api.create_repo(name, exist_ok=True)
        there = api.repo_info(name, revision=revision)
        present = {file.rfilename for file in there.siblings or []}
        for entry in found:
            path = "/".join(manifest_parts(entry.id))
            if path in present:
                if Path(hub.hf_hub_download(name, path, revision=there.sha)).read_bytes() != files.pop(path):
                    raise IdTaken(entry.id, Path(remote))
                continue
            for file, ref in entry.manifest.files.items():
                files["/".join(blob_parts(ref.sha256))] = entry.read(file)
        additions = [hub.CommitOperationAdd(path, data) for path, data in files.items() if path not in present]
        if additions:
            message = f"Publish {', '.join(str(e.id) for e in found)}"[:200]
            api.create_commit(name, additions, commit_message=message, revision=revision, parent_commit=there.sha)
    except SkillZooError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise RemoteError(remote, error) from error
    return [entry.id for entry in found]
