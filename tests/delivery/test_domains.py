"""Sender domains from their first key to marketing, with a name server that can be in trouble (R30)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import dkim
import pytest
from redis import Redis
from sqlalchemy import select

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from app.delivery import domains, identities, keys, senders
from app.delivery.dkim import Keyring
from app.delivery.domains import DomainError, Looked
from app.delivery.identities import Given
from app.delivery.models import DkimKey, SenderDomain, SenderIdentity
from app.delivery.sender_checks import Outward
from app.house import House, furnish
from app.messages.identities import GRACE
from app.messages.identities import load as senders_of
from tests.delivery.names import BROKEN, Names
from tests.delivery.test_dns_check import quoted

NAME = "news.hotel-lago.example"


@dataclass
class Registry:
    """A domain, and the name server that answers for it."""

    house: House
    workspace_id: int
    clock: FixedClock
    names: Names
    domain_id: int

    def work(self) -> Any:
        return self.house.database.work(self.workspace_id)

    def domain(self) -> SenderDomain:
        with self.work() as session:
            return session.scalars(select(SenderDomain).where(SenderDomain.id == self.domain_id)).one()  # type: ignore[no-any-return]

    def keys(self) -> list[DkimKey]:
        with self.work() as session:
            return list(keys.of_domain(session, self.domain_id))

    def phases(self) -> dict[str, str]:
        return {one.selector: one.phase for one in [*self.keys()]}

    def look(self) -> Looked:
        looked = domains.check(self.house, self.workspace_id, self.domain_id)
        assert looked is not None
        return looked

    def publish(self, key: DkimKey | None) -> None:
        """Put a key's record into DNS, or take all of them out."""
        for there in [one for one in self.names.zone if "_domainkey" in one[0]]:
            if key is None:
                del self.names.zone[there]
        if key is not None:
            self.names.zone[f"{key.selector}._domainkey.{NAME}", "TXT"] = [quoted(keys.published(key).record)]

    def make_key(self) -> DkimKey:
        with self.work() as session:
            return keys.make(
                session, session.get_one(SenderDomain, (self.workspace_id, self.domain_id)), self.clock.now()
            )

    def activate(self, **more: str) -> None:
        with self.work() as session:
            domain = session.get_one(SenderDomain, (self.workspace_id, self.domain_id))
            domains.activate(session, domain, "marta@hotel-lago.example", self.clock.now(), **more)

    def ready(self) -> Registry:
        self.publish(self.keys()[0])
        assert self.look().passing
        return self


@pytest.fixture
def registry(
    settings: Settings, db: Database, workspace_id: int, clock: FixedClock, redis: Redis
) -> Iterator[Registry]:
    zone = {
        (NAME, "TXT"): ['"v=spf1 include:spf.post.example ~all"'],
        (NAME, "MX"): ["10 mx.post.example."],
        ("spf.post.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("_dmarc.hotel-lago.example", "TXT"): ['"v=DMARC1; p=none"'],
    }
    with Names(zone) as names:  # type: ignore[arg-type]
        given = replace(settings, resolver=names.server, smtp_url="smtp://post.example?tls=starttls", demo=False)
        house = furnish(given, clock=clock, database=db)
        with db.work(workspace_id) as session:
            domain = domains.add(session, f"  {NAME.upper()}. ", clock.now())
            domains.set_way_out(domain, "spf.post.example", "", clock.now())
        yield Registry(house, workspace_id, clock, names, domain.id)
        house.redis.close()


def test_a_domain_is_kept_as_dns_has_it_and_once(registry: Registry) -> None:
    assert registry.domain().name == NAME
    with registry.work() as session:
        for typed, code in (("NEWS.hotel-lago.example", "known"), ("localhost", "no_domain"), ("a b", "no_domain")):
            with pytest.raises(DomainError) as refused:
                domains.add(session, typed, registry.clock.now())
            assert refused.value.code == code
        assert domains.clean("ciao@Hôtel-lac.example") == "xn--htel-lac-43a.example"


def test_r30_no_marketing_before_the_checks_pass_and_then_by_a_word(registry: Registry) -> None:
    assert not registry.look().passing
    with pytest.raises(DomainError, match="not_passing"):
        registry.activate()
    registry.ready().activate()
    assert (registry.domain().marketing_how, registry.domain().failing_since) == ("checks", None)
    with registry.work() as session:
        assert senders_of(session).asks
        assert senders_of(session).domains[NAME].stands(registry.clock.now())


def test_r30_a_person_may_answer_for_a_domain_and_is_named(registry: Registry) -> None:
    registry.look()
    registry.activate(insist="Our DNS is internal")
    domain = registry.domain()
    assert (domain.marketing_how, domain.marketing_note) == ("insisted", "Our DNS is internal")
    registry.clock.advance(GRACE * 2)
    registry.look()
    with registry.work() as session:
        assert senders_of(session).domains[NAME].stands(registry.clock.now())


@pytest.mark.parametrize("place", [(NAME, "TXT"), ("_dmarc." + NAME, "TXT"), ("spf.post.example", "TXT")])
def test_a_name_server_in_trouble_never_turns_a_passing_domain_off_at_once(
    registry: Registry, place: tuple[str, str]
) -> None:
    registry.ready().activate()
    registry.names.zone[place] = BROKEN
    assert registry.look().passing
    doubted = [name for name, one in registry.domain().checks.items() if one.get("doubt_since")]
    assert doubted
    assert registry.domain().failing_since is None
    registry.clock.advance(GRACE + timedelta(minutes=1))
    assert not registry.look().passing
    assert registry.domain().failing_since == registry.clock.now()


def test_what_is_really_gone_has_three_days_before_marketing_waits(registry: Registry) -> None:
    registry.ready().activate()
    del registry.names.zone["_dmarc.hotel-lago.example", "TXT"]
    began = registry.clock.now()
    assert not registry.look().passing
    assert registry.domain().failing_since == began
    with registry.work() as session:
        known = senders_of(session).domains[NAME]
    assert known.stands(began + GRACE - timedelta(minutes=1))
    assert not known.stands(began + GRACE)
    registry.names.zone["_dmarc.hotel-lago.example", "TXT"] = ['"v=DMARC1; p=none"']
    assert registry.look().passing
    assert registry.domain().failing_since is None


def test_r30_what_was_in_use_goes_on_until_its_checks_have_passed_once(registry: Registry) -> None:
    with registry.work() as session:
        domain = session.get_one(SenderDomain, (registry.workspace_id, registry.domain_id))
        domain.marketing_at, domain.marketing_how = registry.clock.now(), "in_use"
    assert not registry.look().passing
    assert registry.domain().failing_since is None
    registry.ready()
    assert registry.domain().marketing_how == "checks"


def test_a_key_signs_once_its_record_is_seen_and_not_before(registry: Registry) -> None:
    with registry.work() as session:
        assert keys.signers(session) == {}
    registry.look()
    assert registry.keys()[0].phase == "new"
    registry.ready()
    first = registry.keys()[0]
    assert (first.phase, first.seen_at, first.bits) == ("active", registry.clock.now(), 2048)
    with registry.work() as session:
        ring = Keyring(registry.house.settings.data_dir).with_kept(keys.signers(session))
    raw = b"From: a@news.hotel-lago.example\r\nSubject: x\r\n\r\nCiao\r\n"
    signed = ring.sign(raw, "mail.news.hotel-lago.example", registry.clock.now())
    record = keys.published(first).record.encode()
    assert dkim.verify(signed, dnsfunc=lambda *_a, **_k: record)
    assert b"s=" + first.selector.encode() in signed


def test_a_new_key_takes_over_when_dns_shows_it_and_the_old_one_stays_for_the_mails_life(registry: Registry) -> None:
    old = registry.ready().keys()[0]
    registry.clock.advance(timedelta(days=30))
    new = registry.make_key()
    assert new.selector != old.selector
    with pytest.raises(keys.KeyExistsError), registry.work() as session:
        keys.make(session, session.get_one(SenderDomain, (registry.workspace_id, registry.domain_id)), new.created_at)
    registry.look()
    assert registry.phases() == {new.selector: "new", old.selector: "active"}
    registry.publish(new)
    registry.look()
    assert registry.phases() == {new.selector: "active", old.selector: "retiring"}
    registry.clock.advance(keys.MAIL_LIFE - timedelta(hours=1))
    registry.look()
    assert registry.phases()[old.selector] == "retiring"
    registry.clock.advance(timedelta(hours=2))
    registry.look()
    assert registry.phases()[old.selector] == "withdrawn"


def test_a_key_whose_record_got_lost_goes_on_signing_and_says_so(registry: Registry) -> None:
    registry.ready()
    registry.publish(None)
    registry.look()
    key = registry.keys()[0]
    assert (key.phase, key.lost_at) == ("active", registry.clock.now())
    with registry.work() as session:
        assert NAME in keys.signers(session)
    registry.publish(key)
    registry.look()
    assert registry.keys()[0].lost_at is None


def test_a_name_server_in_trouble_loses_no_key(registry: Registry) -> None:
    key = registry.ready().keys()[0]
    registry.names.zone[f"{key.selector}._domainkey.{NAME}", "TXT"] = BROKEN
    registry.look()
    assert registry.keys()[0].lost_at is None


def test_an_address_of_a_proven_domain_is_verified_and_others_are_not(registry: Registry) -> None:
    given = Given("Hotel Lago", f"ciao@{NAME}", "marketing")
    with registry.work() as session:
        mine = identities.save(session, given, registry.clock.now())
        other = identities.save(session, replace(given, email="ciao@elsewhere.example"), registry.clock.now())
        assert (mine.verified_at, other.verified_at) == (None, None)
    registry.ready()
    with registry.work() as session:
        how = dict(session.execute(select(SenderIdentity.email, SenderIdentity.verified_how)).all())
        assert how == {f"ciao@{NAME}": "domain", "ciao@elsewhere.example": None}
        later = identities.save(session, replace(given, email=f"posta@{NAME}"), registry.clock.now())
        assert later.verified_how == "domain"


def test_the_timer_looks_daily_and_sooner_while_something_is_amiss(registry: Registry) -> None:
    assert domains.run(registry.house) == 1
    assert domains.run(registry.house) == 0
    registry.clock.advance(domains.SOON)
    registry.publish(registry.keys()[0])
    assert domains.run(registry.house) == 1
    assert registry.domain().next_check_at == registry.clock.now() + domains.DAILY


def test_a_name_that_is_in_no_dns_is_left_alone_without_a_name_server_of_its_own(registry: Registry) -> None:
    asked = len(registry.names.asked)
    house = replace(registry.house, settings=replace(registry.house.settings, resolver=""))
    assert domains.run(house) == 0
    assert registry.domain().next_check_at is None
    assert len(registry.names.asked) == asked


@pytest.mark.parametrize(
    ("smtp_url", "term"),
    [
        ("smtp://u:p@email-smtp.eu-south-1.amazonaws.com:587", "include:amazonses.com"),
        ("smtp://smtp.eu.mailgun.org:587", "include:mailgun.org"),
        ("smtp://mail.hotel-lago.example", None),
        ("capture:", None),
    ],
)
def test_the_way_out_is_suggested_where_it_is_well_known(smtp_url: str, term: str | None) -> None:
    assert domains.suggested_spf(smtp_url) == term


def test_a_private_key_lies_sealed(registry: Registry, redis: Redis) -> None:
    assert "PRIVATE" not in registry.keys()[0].sealed


def test_a_provider_that_signs_by_itself_is_seen_by_its_own_selectors(registry: Registry) -> None:
    with registry.work() as session:
        domain = session.get_one(SenderDomain, (registry.workspace_id, registry.domain_id))
        with pytest.raises(ValueError, match="not a selector"):
            domains.set_way_out(domain, "spf.post.example", "not a selector!", registry.clock.now())
        domains.set_way_out(domain, "spf.post.example", "S1, s2", registry.clock.now())
    assert not registry.look().passing
    theirs = keys.published(registry.keys()[0])
    registry.names.zone[f"s1._domainkey.{NAME}", "CNAME"] = ["s1.post.example."]
    registry.names.zone["s1.post.example", "TXT"] = [quoted(theirs.record)]
    looked = registry.look()
    assert looked.passing
    assert [one.name for one in looked.results["dkim"].wanted] == [f"{theirs.selector}._domainkey.{NAME}"]
    assert registry.keys()[0].phase == "new"


@pytest.mark.parametrize(
    ("by", "verdict"),
    [
        ([("mailgun", {"key": "k"}, ("service", "marketing"))], "pass"),
        ([("mailgun", {"key": "k"}, ("service",))], "pass"),  # marketing by SMTP_URL, with STARTTLS
        ([("smtp", {"url": "smtps://mx.lago.example"}, ("marketing",))], "pass"),
        ([("smtp", {"url": "smtp://mx.lago.example?tls=off"}, ("marketing",))], "fail"),
        ([("mailgun", {"key": "k"}, ("marketing",)), ("smtp", {"url": "smtp://mx.lago.example?tls=off"},
                                                      ("service",))], "fail"),
    ],
)  # fmt: skip
def test_r30_mails_leave_encrypted_by_every_way_that_is_in_use(
    registry: Registry, by: list[tuple[str, dict[str, str], tuple[str, ...]]], verdict: str
) -> None:
    with registry.work() as session:
        for number, (provider, credentials, streams) in enumerate(by):
            outward = Outward(credentials, {}, streams)
            senders.add(session, provider, f"way-{number}", (), (), registry.clock.now(), outward)
    assert registry.look().results["tls"].verdict == verdict
