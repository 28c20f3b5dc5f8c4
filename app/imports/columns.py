"""What the columns of a file mean: a mapping, guessed from names and values, changed by people, remembered. Pure.

A column's meaning is one short text:

    email, phone, first_name, last_name, full_name, language, country, zone, external_id, tags
    attribute:KEY                an attribute of the workspace, or a new one (its type stands under `types`)
    consent:CHANNEL:PURPOSE      what the person has said: consent:email:marketing/newsletter, consent:email:feedback
    proof:NAME                   how it can be shown: proof:source, proof:wording_version, proof:requested_at ...
    refused                      a date or a yes: the person wants no marketing
    changed_at                   when the row was last changed where it comes from
    (nothing)                    the column is left out
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from app.contacts.addresses import normal_email, normal_phone
from app.contacts.attributes import KEY, TYPES
from app.contacts.sensitive_names import tells, tells_of_a_child
from app.events import strangers
from app.imports import cells
from app.imports.cells import Order, plain

FIELDS = ("email", "phone", "first_name", "last_name", "full_name", "language", "country", "zone", "external_id")
CHANNELS = ("email", "sms", "whatsapp")
PURPOSES = ("marketing", "profiling", "feedback")
"""What an import may report. Of tracking, sharing with others and the privacy notice only the person speaks (R14)."""
PROOFS = (
    *("source", "collected_by", "wording", "wording_version", "language", "requested_at", "confirmed_at", "scan_id"),
    *("page", "ip", "confirmed_ip", "user_agent", "notice_version", "controller", "operator_id"),
)
FOR_ALL = ("source", "collected_by", "wording", "wording_version", "language", "page", "notice_version", "controller")
"""Proof that may be the same for every row, and so be stated once for the file."""
LONGEST = 2_000
SAMPLE = 200
"""Rows that are looked at for guessing."""


class MappingError(ValueError):
    """A mapping cannot be used. `problems` name the place (a column's number, or a word) and the code of what is wrong;
    the message tells them in English."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{place}: {SENTENCES[code]}" for place, code in problems.items()))
        self.problems = dict(problems)


SENTENCES = {
    "nobody": "No column says who it is. Choose the one with e-mail addresses, telephone numbers or your ids.",
    "twice": "Two columns are meant to be the same. Leave one of them out.",
    "unknown": "This is nothing a column can be.",
    "special": "Health, diet, religion and the like are not imported; they belong to a stay.",
    "child": "Of a child neither name nor age nor birth date is imported.",
    "friend": "A friend's data is not imported: give your guest a link to share.",
    "bad_key": "Name the attribute with small letters, figures and underscores, beginning with a letter.",
    "bad_type": "Choose a type: text, number, money, bool, date, instant or list.",
    "no_topic": "There is no such topic.",
    "no_property": "There is no such property.",
    "too_long": "This is too long.",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read."""

    columns: tuple[str, ...]
    """One meaning for each column of the header; empty: left out."""
    types: Mapping[str, str] = field(default_factory=dict)
    """key → type of attributes that the workspace does not have yet."""
    dates: Order = "dmy"
    """Whether 03/04/2024 is in April or in March."""
    international: bool = False
    """Telephone numbers are written with their country code and no plus before it (`33600000001`)."""
    everyone: str = ""
    """A consent (`consent:email:marketing/newsletter`) that every row says yes to, where no column says it."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Proof that is the same for every row (`FOR_ALL`); a column's own value goes before."""
    property: str = ""
    """Code of the property whose country and clock telephone numbers and times are read by; empty: the default one."""
    ask: bool = False
    """Whether people whose yes lacks the confirmation are asked for it by mail (R6)."""

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {**asdict(self), "columns": list(self.columns)}

    def places(self, meaning: str) -> list[int]:
        """Numbers of the columns that mean it, from 0."""
        return [place for place, one in enumerate(self.columns) if one == meaning]


def of_json(given: Mapping[str, Any], width: int) -> Reading:
    """A mapping as it was kept or sent; what is missing is nothing, what is of another type is refused.

    Raises:
        MappingError: it is no mapping for a file of `width` columns.
    """
    columns = given.get("columns") or []
    if not isinstance(columns, list) or not all(isinstance(one, str) and len(one) <= LONGEST for one in columns):
        raise MappingError({"columns": "unknown"})
    columns = [*columns[:width], *[""] * (width - len(columns))]
    texts = {name: given.get(name) or {} for name in ("types", "constants")}
    for name, value in texts.items():
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for pair in value.items() for one in pair):
            raise MappingError({name: "unknown"})
        if any(len(one) > LONGEST for one in value.values()):
            raise MappingError({name: "too_long"})
    everyone, code = given.get("everyone") or "", given.get("property") or ""
    if not isinstance(everyone, str) or not isinstance(code, str):
        raise MappingError({"everyone": "unknown"})
    return Reading(
        columns=tuple(columns),
        types=dict(texts["types"]),
        dates="mdy" if given.get("dates") == "mdy" else "dmy",
        international=given.get("international") is True,
        everyone=everyone,
        constants={name: text.strip() for name, text in texts["constants"].items() if text.strip()},
        property=code,
        ask=given.get("ask") is True,
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What a workspace has that columns can mean."""

    types: Mapping[str, str] = field(default_factory=dict)
    special: Collection[str] = ()
    """Attributes of special categories (R18)."""
    topics: Sequence[str] = ()
    properties: Sequence[str] = ()


def checked(mapping: Reading, known: Known) -> Reading:
    """The mapping, if files can be read by it.

    Raises:
        MappingError: with every place that is wrong.
    """
    problems: dict[str, str] = {}
    counts = Counter(one for one in mapping.columns if one and one != "tags")
    for place, meaning in enumerate(mapping.columns):
        code = _wrong(meaning, mapping, known) or ("twice" if counts[meaning] > 1 else None)
        if code:
            problems[str(place)] = code
    if not {"email", "phone", "external_id"} & set(mapping.columns):
        problems["columns"] = "nobody"
    if mapping.everyone and (code := _wrong(mapping.everyone, mapping, known)):
        problems["everyone"] = code
    if mapping.property and mapping.property not in known.properties:
        problems["property"] = "no_property"
    if unknown := set(mapping.constants) - set(FOR_ALL):
        problems[min(unknown)] = "unknown"
    if problems:
        raise MappingError(problems)
    return mapping


def _wrong(meaning: str, mapping: Reading, known: Known) -> str | None:
    kind, _, rest = meaning.partition(":")
    if meaning in {"", "tags", "refused", "changed_at", *FIELDS}:
        return None
    if kind == "proof":
        return None if rest in PROOFS else "unknown"
    if kind == "attribute":
        if rest in known.special or (rest not in known.types and tells(rest)):
            return "special"
        if tells_of_a_child(rest):
            return "child"
        if strangers.names_one(rest):
            return "friend"
        if not KEY.fullmatch(rest):
            return "bad_key"
        return None if rest in known.types or mapping.types.get(rest, "text") in TYPES else "bad_type"
    if kind == "consent":
        found = consent_of(meaning)
        if found is None:
            return "unknown"
        return "no_topic" if found[2] is not None and found[2] not in known.topics else None
    return "unknown"


def consent_of(meaning: str) -> tuple[str, str, str | None] | None:
    """Channel, purpose and topic of `consent:CHANNEL:PURPOSE[/TOPIC]`; None: it means no consent."""
    found = re.fullmatch(r"consent:([a-z]+):([a-z_]+)(?:/(.+))?", meaning)
    if found is None or found[1] not in CHANNELS or found[2] not in PURPOSES or (found[3] and found[2] != "marketing"):
        return None
    return found[1], found[2], found[3]


# -- guessing --------------------------------------------------------------------------------------------------------

_NAMES: Mapping[str, str] = {
    "email": "email mail emailaddress emailadresse adresseemail adressemail indirizzoemail indirizzomail posta"
    " postaelettronica indirizzodipostaelettronica courriel correo correoelectronico epost epostadresse useremail"
    " customeremail guestemail primaryemail contactemail",
    "first_name": "firstname fname givenname nome vorname prenom nombre voornaam primeironome guestfirstname",
    "last_name": "lastname lname surname familyname cognome nachname familienname nom nomdefamille apellido apellidos"
    " achternaam sobrenome guestlastname",
    "full_name": "name fullname nomecognome cognomenome nomeecognome cognomeenome nominativo nomecompleto nomcomplet"
    " nombrecompleto ospite cliente gast guestname customername contactname",
    "phone": "phone phonenumber telephone telephonenumber tel telefono telefon telefonnummer telefoon cellulare cell"
    " cellphone mobile mobilephone mobilenumber handy handynummer portable numeroditelefono numerotelefono movil sms",
    "language": "language languages lang lingua sprache langue idioma taal locale preferredlanguage linguapreferita",
    "country": "country countrycode cc nation paese nazione stato land landercode pays pais codicepaese landcode",
    "zone": "timezone zone fusoorario zeitzone fuseauhoraire",
    "external_id": "externalid",
    "tags": "tags tag labels etichette schlagworte etiquettes etiquetas shopifytags",
    "attribute:birth_date": "birthday birthdate dateofbirth dob datadinascita datanascita compleanno geburtstag"
    " geburtsdatum datedenaissance fechadenacimiento",
    "attribute:city": "city town citta comune localita ville ort stadt ciudad locationcity",
    "attribute:postcode": "zip zipcode postcode postalcode cap plz codepostal codicepostale",
    "attribute:company": "company companyname azienda societa ragionesociale firma entreprise empresa",
    "changed_at": "lastchanged lastmodified lastmodifieddate updatedat modifiedat ultimamodifica datamodifica",
    "refused": "unsubtime unsubscribedat unsubscribedate unsubscribed optouttime optoutdate datadisiscrizione"
    " disiscrittoil datarevoca suppressed",
    "proof:requested_at": "optintime optindate consentdate consenttime consenttimestamp consentat subscribedat"
    " emailmarketingconsenttimestamp dataconsenso dataiscrizione datadelconsenso subscriptiondate",
    "proof:confirmed_at": "confirmtime confirmedat confirmationdate confirmationtime doubleoptintime doubleoptindate"
    " dataconferma datadiconferma confermatoil",
    "proof:ip": "optinip consentip signupip ipconsenso ip ipaddress",
    "proof:confirmed_ip": "confirmip confirmationip ipconferma",
    "proof:source": "consentsource source optinsource signupsource fonte fonteconsenso fontedelconsenso origine"
    " provenienza",
    "proof:wording": "consentwording wording consenttext testoconsenso testodelconsenso",
    "proof:wording_version": "wordingversion consentversion versionetesto versioneconsenso versionedeltesto",
    "proof:collected_by": "consentmethod optinmethod method metodo modalita metodoconsenso",
    "proof:scan_id": "scanid idscansione scansione modulo moduloid",
    "proof:page": "consentpage optinpage signuppage paginaconsenso formurl",
    "proof:notice_version": "noticeversion privacyversion versioneinformativa informativa",
}  # fmt: skip
_SPOKEN = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}
_CONSENTS = {
    "email": "optin newsletter newsletterconsent emailconsent emailoptin acceptsemailmarketing emailmarketingconsent"
    " acceptsmarketing marketing marketingconsent consensomarketing consensonewsletter iscrizionenewsletter iscritto"
    " subscribed subscription subscriptionstatus consenso consent emailmarketing",
    "sms": "smsconsent smsoptin acceptssmsmarketing smsmarketingconsent consensosms",
    "whatsapp": "whatsappconsent whatsappoptin consensowhatsapp",
}
_CONSENT = {name: channel for channel, names in _CONSENTS.items() for name in names.split()}


def guessed(header: Sequence[str], rows: Sequence[Sequence[str]], known: Known) -> Reading:
    """What the columns probably mean, by their names and what stands in them.

    An id is taken for the person's only where the column says `external_id`: numbers of another program would else be
    taken for those of the booking engine, and one guest for another.

    Args:
        rows: some of the file's.
    """
    columns = [""] * len(header)
    taken: set[str] = set()
    values = [[row[place] for row in rows[:SAMPLE] if place < len(row) and row[place]] for place in range(len(header))]

    def take(place: int, meaning: str) -> None:
        if meaning not in taken and not columns[place]:
            columns[place] = meaning
            taken.add(meaning)

    for code in (True, False):  # `Country Code` before `Country`: a code needs no understanding
        for place, name in enumerate(header):
            if ("code" in plain(name) or plain(name) == "cc") is code:
                meaning = _meaning(plain(name), values[place], known)
                if meaning:
                    take(place, meaning)
    if "email" not in taken:
        for place, some in enumerate(values):
            if some and sum(normal_email(one) is not None for one in some) * 5 >= len(some) * 4:
                take(place, "email")
                break
    if "full_name" in taken and {"first_name", "last_name"} <= taken:
        columns[columns.index("full_name")] = ""
    new = {
        key: "date" if key == "birth_date" else "text"
        for one in columns
        if one.startswith("attribute:") and (key := one.removeprefix("attribute:")) not in known.types
    }
    dated = [place for place, one in enumerate(columns) if _is_dated(one, new | dict(known.types))]
    return Reading(
        columns=tuple(columns),
        types=new,
        dates=cells.order_of(value for place in dated for value in values[place]),
        international=any(
            one == "phone" and _is_international(plain(header[place]), values[place])
            for place, one in enumerate(columns)
        ),
    )


def _is_international(name: str, some: Sequence[str]) -> bool:
    """Whether a column of figures alone holds country codes: where the program that wrote it is known to (Brevo)."""
    bare = [one for one in some if re.fullmatch(r"[1-9][0-9]{9,14}", one)]
    if not bare or len(bare) < len(some):
        return False
    return name == "sms" and all(normal_phone("+" + one, None) for one in bare)


def _meaning(name: str, some: Sequence[str], known: Known) -> str | None:
    meaning = _SPOKEN.get(name)
    if meaning is None and name in _CONSENT and all(cells.said(one) for one in some):
        channel = _CONSENT[name]
        topic = "newsletter" if "newsletter" in known.topics else next(iter(known.topics), None)
        return f"consent:{channel}:marketing" + (f"/{topic}" if topic else "")
    if meaning is None and name in known.types and name not in known.special:
        return f"attribute:{name}"
    if meaning is None:
        return None
    if meaning.startswith("attribute:") and meaning.removeprefix("attribute:") in known.special:
        return None
    fits = _FITS.get(meaning)
    if fits is not None and some and sum(fits(one) is not None for one in some) * 2 < len(some):
        return None
    return meaning


_FITS: Mapping[str, Callable[[str], object]] = {
    "email": normal_email,
    "language": cells.language,
    "country": cells.country,
}
"""What at least half of a column's values must be for its name to be believed."""


def _is_dated(meaning: str, types: Mapping[str, str]) -> bool:
    kind, _, rest = meaning.partition(":")
    return (
        meaning in {"refused", "changed_at", "proof:requested_at", "proof:confirmed_at"}
        or (kind == "attribute" and types.get(rest) in {"date", "instant"})
    )  # fmt: skip


def by_name(header: Sequence[str], wanted: Iterable[str], start: Reading) -> Reading:
    """`start` with some columns named by hand: `NAME=MEANING` (`E-mail=email`, `Note=`), `all:CONSENT`,
    `const:PROOF=TEXT`, `type:KEY=TYPE`, `dates=mdy`, `property=CODE`, `ask=yes`,
    `international=yes`.

    Raises:
        MappingError: no column has this name, or it is none of these.
    """
    places = {plain(name): place for place, name in enumerate(header)}
    given = start.as_json()
    for one in wanted:
        name, is_pair, value = one.partition("=")
        name, value = name.strip(), value.strip()
        if name.startswith("all:"):
            given["everyone"] = name.removeprefix("all:")
        elif name.startswith("const:"):
            given["constants"] = {**given["constants"], name.removeprefix("const:"): value}
        elif name.startswith("type:"):
            given["types"] = {**given["types"], name.removeprefix("type:"): value}
        elif name in {"dates", "property"} and plain(name) not in places:
            given[name] = value
        elif name in {"ask", "international"} and plain(name) not in places:
            given[name] = cells.said(value) == "yes"
        elif is_pair and plain(name) in places:
            given["columns"][places[plain(name)]] = value
        else:
            raise MappingError({one: "unknown"})
    return of_json(given, len(header))
