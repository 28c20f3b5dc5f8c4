"""What the name of a field says of its value: that it is of a special category (R18), or tells of a child (R12). Pure.

Whoever sends data has not been asked what its fields mean, so their names are all there is to go by: English, Italian
and what booking engines call them, however they are spelled (`DietaryRequirements`, `dietary-requirements`, `Esigenze
alimentari`). Free text that a guest or the desk writes (requests, notes, comments) cannot be judged by its name, and is
just where an allergy is written down: it is taken for special as a whole. Names judged too widely cost a field that no
segment can use; names judged too narrowly would leave somebody's illness in the open.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache


class Says(Enum):
    """What a name says of what it holds."""

    NOTHING = "nothing"
    SPECIAL = "special"
    """Health, diet, disability, religion and the like, whatever the value."""
    WISH = "wish"
    """Free text of or about a guest."""
    CHILDREN = "children"
    """The children themselves: how many, or who they are."""
    CHILDRENS_AGES = "ages"
    CHILDRENS_BIRTHS = "births"
    CHILDRENS_NAMES = "names"
    BIRTH = "birth"
    """A birth date, of whomever the object is about."""
    AGE = "age"
    KIND = "kind"
    """What sort of guest it is: adult, child ..."""


def some(words: str) -> frozenset[str]:
    """Words of a list, divided by spaces."""
    return frozenset(words.split())


_SPECIAL = re.compile(
    r"(^|_)(allerg\w*|intoleran\w*|intolleran\w*|celiac\w*|celiach\w*|coeliac\w*|gluten\w*|glutine|lactose\w*|"
    r"lattosio|vegan\w*|vegetarian\w*|diet|diets|dietary|dietetic\w*|dieta|diete|food_(preference|restriction|requirement|need)s?|"
    r"meal_(preference|restriction|requirement)s?|(esigenze|restrizioni|preferenze|regime|intolleranze)_alimentar\w*|"
    r"disab\w*|handicap\w*|wheelchair\w*|sedia_a_rotelle|carrozzina|accessible|accessibility|accessibilita|mobility|"
    r"mobilita_ridotta|prm|medical\w*|medic\w*|health\w*|salute|illness\w*|malatti\w*|patologi\w*|diabet\w*|"
    r"epilep\w*|autis\w*|deaf\w*|service_dog|assistance_dog|guide_dog|cane_guida|pregnan\w*|gravidanza|incinta|"
    r"religio\w*|kosher|halal|ethnic\w*|etnia|racial\w*|sexual\w*|orientamento_sessuale|trade_union\w*|sindacat\w*|"
    r"political_(opinion|affiliation|view)s?|biometric\w*|genetic\w*|"
    r"(special|guest|dietary|medical|personal|customer|client|room)_(request|wish|wishe|need|requirement|assistance)s?|"
    r"(richiest[ae]|esigenz[ae]|assistenza|necessita)_special[ei]|richiest[ae]_(ospite|cliente))(_|$)"
)
_COUNTED = re.compile(r"(^|_)((special|guest|customer|client|room)_requests?|richiest[ae]_\w+)(_|$)")
"""Of those, what is free text: some systems send how many there are, and a number tells nothing."""
_WISH = re.compile(
    r"(^|_)(requests?|richiest[ae]|notes?|comments?|comment[oi]|remarks?|osservazion[ei]|annotazion[ei]|wish|wishes|"
    r"desideri|desiderata|requirements?|needs|esigenze)$"
    r"|^((guest|room|stay|bed|personal)_)?(preferences?|preferenz[ae])(_(ospite|cliente|camera))?$"
)
_NO_WISH = re.compile(r"(^|_)(credit|debit|delivery|release)_notes?$")

_CHILD = some(
    "child children childs kid kids infant infants baby babies toddler toddlers minor minors teen teens teenager"
    " teenagers bambino bambina bambini bambine figlio figlia figli figlie minore minori neonato neonata neonati"
    " ragazzo ragazza ragazzi ragazze"
)
_AGE = frozenset({"age", "ages", "eta", "anni", "years"})
_BIRTH = some(
    "birth births birthdate birthdates birthday birthdays dob born nascita nato nata nati compleanno compleanni"
)
_NAME = some("name names firstname lastname surname surnames nome nomi cognome cognomi fullname")
_FILLER = some(
    "of del dei delle di degli data date dates day list lista details detail info guest guests companion companions"
    " records first last full in the current at arrival all"
)
_BANDED = frozenset({"band", "bands", "bucket", "group", "category", "fascia", "fasce"})
_KINDS = some(
    "type guest_type person_type traveller_type traveler_type occupant_type kind category guest_category"
    " age_category age_group age_bucket age_type age_qualifying_code tipo tipo_ospite fascia_eta"
)
_AGES = frozenset({"age", "eta", "age_years", "age_in_years", "current_age", "guest_age", "anni"})
_SPLIT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|[^A-Za-z0-9]+")
LONGEST = 200
"""Of longer names only the beginning is read; nobody's fields are called like that."""


def tells(name: str) -> bool:
    """Whether a name says that what it stands for is of a special category. Of attributes, columns and tags, which a
    team names itself, free text is not taken for one: `flask contacts attribute KEY --special` says so."""
    return says(name[:LONGEST]) is Says.SPECIAL


def tells_of_a_child(name: str) -> bool:
    """Whether a name says that what it stands for is a child's name, age or birth date (R12)."""
    return says(name[:LONGEST]) in (Says.CHILDRENS_NAMES, Says.CHILDRENS_AGES, Says.CHILDRENS_BIRTHS)


@lru_cache(maxsize=50_000)
def is_text(name: str) -> bool:
    """Of what is special by its name: whether it is free text, of which a bare number tells nothing."""
    return _COUNTED.search(normal(name[:LONGEST])) is not None


@lru_cache(maxsize=50_000)
def says(name: str) -> Says:
    """What a field of this name holds. Senders use the same names over and over, so each is looked at once."""
    plain = normal(name[:LONGEST])
    if _SPECIAL.search(plain):
        return Says.SPECIAL
    words = {word for word in plain.split("_") if not word.isdigit()}
    if words & _CHILD:
        return _of_child(words - _CHILD)
    if _WISH.search(plain) and not _NO_WISH.search(plain):
        return Says.WISH
    if plain in _KINDS:
        return Says.KIND
    if words & _BIRTH and not words & _BANDED:
        return Says.BIRTH
    return Says.AGE if plain in _AGES else Says.NOTHING


def _of_child(words: set[str]) -> Says:
    if words & _BANDED:
        return Says.NOTHING
    for some, what in ((_BIRTH, Says.CHILDRENS_BIRTHS), (_AGE, Says.CHILDRENS_AGES), (_NAME, Says.CHILDRENS_NAMES)):
        if words & some and words <= some | _FILLER | _AGE:
            return what
    return Says.CHILDREN if words <= _FILLER else Says.NOTHING


def normal(name: str) -> str:
    """A name in small letters and underscores, without accents: `specialRequests`, `Special requests` are one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "_".join(part for part in _SPLIT.split(plain) if part).lower()


def banded(name: str, many: bool) -> str:
    """What a child's age or birth date is called once it is an age band: `child_2_birth_date` → `child_2_age_band`."""
    words = [word for word in normal(name).split("_") if word not in _AGE | _BIRTH | _FILLER]
    return "_".join([*words, "age_bands" if many else "age_band"])


def band_of_word(text: str) -> str | None:
    """The band that a word for a sort of guest stands for: `Infant`, `CHD`, `bambino`; None: no child."""
    word = normal(text[:LONGEST])
    if word in {"inf", "infant", "infants", "baby", "babies", "neonato", "neonata", "neonati"}:
        return "infant"
    if word in {"teen", "teens", "teenager", "teenagers", "ragazzo", "ragazza", "ragazzi"}:
        return "teen"
    return "child" if word in {"chd", "kid", "minor"} or word in _CHILD else None
