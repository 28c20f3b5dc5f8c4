"""Templates on disk and in the database: read, sample, publish, fetch.

A published version is immutable and numbered; it is made only when the sources it rests on have changed. Nothing here
commits: the caller's unit of work does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import case, func, insert, null, select, update
from sqlalchemy.orm import Session

from app.content.compile import Compiled, Examined, examine
from app.content.enclosures import MOST_BYTES, is_enclosure
from app.content.manifest import Manifest, read_manifest
from app.content.models import Template, TemplateVersion
from app.content.problems import ContentError, Problem
from app.content.samples import BASE
from app.db import remembered, workspace_of
from app.journey.known import TemplateInfo

TEXT_ENDINGS: Final = frozenset({".mjml", ".yaml", ".txt", ".css", ".html"})
MAX_FILE: Final = 300_000
CACHE_SIZE: Final = 512
"""Published versions kept in one process."""


@dataclass(frozen=True, slots=True)
class Library:
    """The `email_templates/` tree: texts by path, and the names of the pictures in `_assets`.

    Files for mails to carry stand among the texts in base64 (see `content/enclosures.py`).
    """

    files: Mapping[str, str]
    assets: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """The templates, by folder name."""
        return tuple(
            sorted({p.split("/")[0] for p in self.files if p.endswith("/template.yaml") and not p.startswith("_")})
        )


@dataclass(frozen=True, slots=True)
class Published:
    """A template's live version."""

    version_id: int
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class Change:
    """What `push` did with one template: `published` (with its number), `unchanged`, or `refused` with the problems."""

    name: str
    outcome: str
    number: int | None
    problems: tuple[Problem, ...]


def read_library(root: Path) -> Library:
    """Read the tree; files that are no text, or are too large for one, are left out."""
    files: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and is_enclosure(name):
            with path.open("rb") as file:  # a little more than may be is enough to be told that it is too large
                files[name] = base64.b64encode(file.read(MOST_BYTES + 3)).decode()
        elif path.is_file() and path.suffix in TEXT_ENDINGS and path.stat().st_size <= MAX_FILE:
            files[name] = path.read_text(encoding="utf-8")
    folder = root / "_assets"
    assets = (
        frozenset(p.relative_to(folder).as_posix() for p in folder.rglob("*.png")) if folder.is_dir() else frozenset()
    )
    return Library(files, assets)


def info(compiled: Compiled) -> TemplateInfo:
    """The workflow checker's view of a compiled template."""
    return TemplateInfo(
        name=compiled.template,
        class_=compiled.class_,
        topic=compiled.topic,
        languages=tuple(sorted(compiled.languages)),
        required=tuple(sorted({one.path for one in compiled.variables if one.required})),
        review_request=compiled.review_request,
        files=tuple(sorted(compiled.files)),
    )


def library_infos(library: Library) -> dict[str, TemplateInfo]:
    """Every template of a tree that compiles, by name. Nothing is read but what is given."""
    made = ((name, examine(name, library.files).compiled) for name in library.names)
    return {name: info(compiled) for name, compiled in made if compiled is not None}


def sample_facts(name: str, library: Library) -> dict[str, Any]:
    """Facts to preview a template with: a hotel on Lago Maggiore and its guest, and over them the template's samples.

    Raises ContentError where template.yaml cannot be read.
    """
    problems: list[Problem] = []
    manifest = read_manifest(name, library.files, problems)
    if manifest is None:
        raise ContentError(problems)
    return facts_of(manifest)


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """As `sample_facts`, of a manifest at hand."""
    facts = deepcopy(dict(BASE))
    for field in manifest.fields.values():
        inner: dict[str, Any] = facts
        *parents, last = field.path.split(".")
        for name in parents:
            below = inner.get(name)
            if not isinstance(below, dict):
                below = inner[name] = {}
            inner = below
        inner[last] = deepcopy(field.sample)
    return facts


def push(
    session: Session,
    library: Library,
    now: datetime,
    *,
    by: str = "library",
    known: Mapping[str, str] | None = None,
    names: Iterable[str] | None = None,
) -> list[Change]:
    """Publish every template of a tree (or those named) whose sources changed, in one unit of work of one workspace.

    A template with an error is refused, and its live version stays. Two queries to look, then two for each template
    that is published (three for a new one).
    """
    workspace_id = workspace_of(session)
    wanted = list(library.names if names is None else names)
    rows = session.execute(
        select(Template.id, Template.name, TemplateVersion.content_hash)
        .outerjoin(
            TemplateVersion,
            (TemplateVersion.workspace_id == Template.workspace_id) & (TemplateVersion.id == Template.live_version_id),
        )
        .where(Template.workspace_id == workspace_id, Template.name.in_(wanted))
    )
    have = {name: (id_, digest) for id_, name, digest in rows}
    numbers = session.execute(
        select(TemplateVersion.template_id, func.max(TemplateVersion.number))
        .where(
            TemplateVersion.workspace_id == workspace_id,
            TemplateVersion.template_id.in_([template_id for template_id, _ in have.values()]),
        )
        .group_by(TemplateVersion.template_id)
    )
    last = {template_id: number for template_id, number in numbers}  # noqa: C416 - rows, not pairs, to the type checker
    changes = []
    for name in wanted:
        examined = examine(name, library.files, known)
        if examined.compiled is None:
            changes.append(Change(name, "refused", None, examined.problems))
            continue
        source = {path: library.files[path] for path in sorted(examined.used_files)}
        digest = content_hash(source, examined.compiled)
        template_id, live = have.get(name, (None, None))
        if live == digest:
            changes.append(Change(name, "unchanged", None, examined.problems))
            continue
        number = _publish(session, workspace_id, template_id, last, examined, source, digest, now, by)
        changes.append(Change(name, "published", number, examined.problems))
    return changes


def content_hash(source: Mapping[str, str], compiled: Compiled) -> str:
    """What decides whether a version is new: the sources, and what this compiler makes of them."""
    seen = json.dumps([dict(source), compiled.to_json()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(seen.encode()).hexdigest()


def _publish(
    session: Session, workspace_id: int, template_id: int | None, last: Mapping[int, int], examined: Examined,
    source: Mapping[str, str], digest: str, now: datetime, by: str,
) -> int:  # fmt: skip
    compiled = examined.compiled
    assert compiled is not None
    about = {
        "title": dict(compiled.name), "class_": compiled.class_, "topic": compiled.topic, "phase": compiled.phase,
        "updated_at": now,
    }  # fmt: skip
    if template_id is None:
        template_id = session.execute(
            insert(Template)
            .values(workspace_id=workspace_id, name=compiled.template, created_at=now, **about)
            .returning(Template.id)
        ).scalar_one()
    number = last.get(template_id, 0) + 1
    version_id = session.execute(
        insert(TemplateVersion)
        .values(
            workspace_id=workspace_id, template_id=template_id, number=number, source=dict(source),
            compiled=compiled.to_json(), content_hash=digest, published_at=now, published_by=by,
        )
        .returning(TemplateVersion.id)
    ).scalar_one()  # fmt: skip
    session.execute(
        update(Template)
        .where(Template.workspace_id == workspace_id, Template.id == template_id)
        .values(live_version_id=version_id, **about)
    )
    return number


def published(session: Session, names: Iterable[str]) -> dict[str, Published]:
    """The live versions of the templates named, in one query; of those already known here only the id is read.

    A name without a published version is left out.
    """
    workspace_id = workspace_of(session)
    kept = _kept(session)
    known = list(kept)
    rows = session.execute(
        select(
            Template.name,
            TemplateVersion.id,
            case((TemplateVersion.id.in_(known), null()), else_=TemplateVersion.compiled),
        )
        .join(
            TemplateVersion,
            (TemplateVersion.workspace_id == Template.workspace_id) & (TemplateVersion.id == Template.live_version_id),
        )
        .where(Template.workspace_id == workspace_id, Template.name.in_(sorted(set(names))))
    )
    found = {}
    for name, version_id, data in rows:
        found[name] = Published(version_id, _compiled(kept, version_id, data))
    return found


def versions(session: Session, ids: Iterable[int]) -> dict[int, Compiled]:
    """Compiled versions by id, live or not, in one query, and none for those this process knows."""
    workspace_id = workspace_of(session)
    wanted = set(ids)
    kept = _kept(session)
    found = {i: kept[i] for i in wanted if i in kept}
    if wanted - found.keys():
        rows = session.execute(
            select(TemplateVersion.id, TemplateVersion.compiled).where(
                TemplateVersion.workspace_id == workspace_id, TemplateVersion.id.in_(sorted(wanted - found.keys()))
            )
        )
        found.update({version_id: _compiled(kept, version_id, data) for version_id, data in rows})
    return found


def _kept(session: Session) -> dict[int, Compiled]:
    return remembered(session, "template versions", CACHE_SIZE)


def _compiled(kept: dict[int, Compiled], version_id: int, data: Mapping[str, Any] | None) -> Compiled:
    if data is None or version_id in kept:
        return kept[version_id]
    compiled = kept[version_id] = Compiled.from_json(data)
    return compiled
