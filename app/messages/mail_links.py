"""What stands in a mail for a link: counted, named by campaign, or left out; and links that go with mails of a kind.

R15: a link tells who followed it only for who has granted that; the mail then carries a link of its own by which that
consent is taken back (R14), beside the one to unsubscribe, and a hidden one that only machines follow.
R34: a mail to a masked address of a booking site leads to approved hosts only: any other link loses its target and
keeps its words, and the mail goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from markupsafe import escape

from app.config import Settings
from app.content.compiled import CompiledLanguage
from app.content.policy import APPROVED_HOSTS
from app.content.render import Rendered
from app.messages import links
from app.messages.links import Ref

HIDDEN_LINK: Final = 0
"""The number of the counted link that no reader sees, in mails whose links are counted: who follows it is a machine."""
_HIDDEN: Final = '<a href="{url}" rel="nofollow" tabindex="-1" aria-hidden="true" style="display:none"></a>'
_NOWHERE: Final = "\U000fd07e"
"""Stands for the target of a link that has none, until the mail is whole; a character that nobody writes."""
_NO_HREF: Final = re.compile(rf'\s+href="{_NOWHERE}"')
_NO_TARGET: Final = re.compile(rf"( \({_NOWHERE}\)|: {_NOWHERE}|{_NOWHERE})")
_BARE: Final = re.compile(r"https?://[^\s<>\"')]+")

STOP_COUNTING: Final[Mapping[str, str]] = {
    "en": "Stop counting the links I open",
    "it": "Non contate i link che apro",
    "de": "Meine Klicks nicht mehr zählen",
    "fr": "Ne plus compter les liens que j’ouvre",
    "es": "No contar los enlaces que abro",
}
"""Language → what stands on the link that takes the consent to counting back."""


def approved(place: Mapping[str, Any], more: Collection[str]) -> list[str]:
    """The hosts that a mail to a masked address may lead to: those every house approves, the workspace's `relay_links`,
    and what the property names under `data.relay_links`."""
    own = (place.get("data") or {}).get("relay_links")
    named = [one.lower() for one in own if isinstance(one, str)] if isinstance(own, list) else []
    return sorted({*APPROVED_HOSTS, *more, *named})


@dataclass(slots=True)
class Linker:
    """The links of one mail. `recipe` is what the mail is made by and made again by; `place` its property's facts."""

    settings: Settings
    ref: Ref
    recipe: Mapping[str, Any]
    place: Mapping[str, Any]
    class_: str
    template: str
    compiled: CompiledLanguage
    dropped: set[str] = field(default_factory=set)
    """Hosts that links were to lead to and may not."""

    def stands(self) -> Callable[[int, str], str]:
        """What stands in the mail for a link of the template, by its number and address."""
        kinds = {one.number: one.kind for one in self.compiled.links}
        own = {links.host(str(one)) for one in (self.place.get("links") or {}).values()} - {""}

        def link(number: int, address: str) -> str:
            if kinds.get(number) != "content":
                return address
            if not self._may_lead_to(address):
                return _NOWHERE
            if self.recipe["track"]:
                return links.click_url(self.settings, self.ref, number)
            if self.class_ == "marketing" and links.host(address) in own:
                return links.campaign_url(address, self.place["code"], self.template)
            return address

        return link

    def _may_lead_to(self, address: str) -> bool:
        hosts, host = self.recipe.get("approved"), links.host(address)
        if hosts is None or not host or host == links.host(self.settings.base_url):
            return True
        if any(host == one or host.endswith(f".{one}") for one in hosts):
            return True
        self.dropped.add(host)
        return False

    def html(self, rendered: Rendered, language: str) -> str:
        """The HTML with what the mail has besides, and without what it may not have."""
        found = rendered.html
        if self.recipe.get("approved") is not None:
            # Mail programs make a link of every address they see written.
            parts = re.split(r"(<style\b.*?</style>|<[^>]*>)", _NO_HREF.sub("", found), flags=re.DOTALL | re.IGNORECASE)
            found = "".join(part if part.startswith("<") else self._bare(part) for part in parts)
        stop = self.recipe.get("tracking_url")
        if stop:
            found = _beside(found, self.recipe["urls"]["unsubscribe_url"], stop, _words(language))
        if self.recipe["track"] and self.recipe.get("hidden_link"):
            body, end, rest = found.rpartition("</body>")
            hidden = _HIDDEN.format(url=links.click_url(self.settings, self.ref, HIDDEN_LINK))
            found = body + hidden + end + rest if end else found
        return found

    def text(self, rendered: Rendered, language: str) -> str:
        """The same of the text part."""
        found = rendered.text
        if self.recipe.get("approved") is not None:
            found = self._bare(_NO_TARGET.sub("", found))
        stop = self.recipe.get("tracking_url")
        if not stop:
            return found
        before, url, after = found.rpartition(self.recipe["urls"]["unsubscribe_url"])
        line = f"{_words(language)}: {stop}"
        if not url:
            return f"{found.rstrip()}\n\n{line}\n"
        rest, newline, below = after.partition("\n")
        return f"{before}{url}{rest}\n{line}{newline}{below}"

    def _bare(self, words: str) -> str:
        return _BARE.sub(lambda found: found[0] if self._own_or_approved(found[0]) else links.host(found[0]), words)

    def _own_or_approved(self, address: str) -> bool:
        return address in self.recipe["urls"].values() or self._may_lead_to(address)


def _words(language: str) -> str:
    return STOP_COUNTING.get(language.partition("-")[0], STOP_COUNTING["en"])


def _beside(html: str, unsubscribe: str, stop: str, words: str) -> str:
    """The HTML with one more link, looking like the one to unsubscribe and standing after it; at the end of the mail
    where there is none."""
    target = f'href="{escape(unsubscribe)}"'
    at = html.rfind(target)
    start, end_of_tag, end_of_link = html.rfind("<a", 0, at), html.find(">", at) + 1, html.find("</a>", at) + 4
    if 0 <= start < at < end_of_tag < end_of_link:
        tag = html[start:end_of_tag].replace(target, f'href="{escape(stop)}"')
        return f"{html[:end_of_link]} &#183; {tag}{escape(words)}</a>{html[end_of_link:]}"
    body, end, rest = html.rpartition("</body>")
    line = f'<p style="text-align:center;font-size:13px"><a href="{escape(stop)}">{escape(words)}</a></p>'
    return body + line + end + rest if end else html + line
