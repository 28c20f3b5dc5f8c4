"""What MJML allows, as data.

The facts are those of the reference implementation, npm `mjml` 5.4.1 (MIT): `allowedAttributes` of each component and
the dependency table of `mjml-preset-core`. What MRML (the compiler inside mjml-python 1.4.2) leaves out or calculates
with was tried attribute by attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CHILDREN: Final[Mapping[str, frozenset[str]]] = {
    tag: frozenset(children.split())
    for tag, children in {
        "mjml": "mj-body mj-head",
        "mj-accordion": "mj-accordion-element",
        "mj-accordion-element": "mj-accordion-title mj-accordion-text",
        "mj-body": "mj-raw mj-section mj-wrapper mj-hero",
        "mj-carousel": "mj-carousel-image",
        "mj-column": (
            "mj-accordion mj-button mj-carousel mj-divider mj-image mj-raw mj-social mj-spacer mj-table mj-text"
            " mj-navbar"
        ),
        "mj-group": "mj-column mj-raw",
        "mj-head": "mj-attributes mj-breakpoint mj-font mj-preview mj-style mj-title mj-raw",
        "mj-hero": (
            "mj-accordion mj-button mj-carousel mj-divider mj-image mj-social mj-spacer mj-table mj-text"
            " mj-navbar mj-raw"
        ),
        "mj-navbar": "mj-navbar-link",
        "mj-section": "mj-column mj-group mj-raw",
        "mj-social": "mj-social-element",
        "mj-wrapper": "mj-hero mj-raw mj-section",
    }.items()
}
"""Components that may stand directly in a component."""

ENDING: Final = frozenset(
    [
        "mj-accordion-text",
        "mj-accordion-title",
        "mj-breakpoint",
        "mj-button",
        "mj-carousel-image",
        "mj-navbar-link",
        "mj-preview",
        "mj-raw",
        "mj-social-element",
        "mj-style",
        "mj-table",
        "mj-text",
        "mj-title",
    ]
)
"""Components whose content is HTML or words, never MJML."""

EMPTY: Final = frozenset(["mj-image", "mj-divider", "mj-spacer", "mj-font", "mj-breakpoint", "mj-carousel-image"])
"""Components that hold nothing."""

CONTAINERS_OF_MARKS: Final = frozenset(["mj-body", "mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-hero"])
"""Components between whose children the compiler lets a mark stand; it refuses them in all others."""

UNSUPPORTED: Final[Mapping[str, str]] = {
    "mj-html-attributes": "Write the attributes in the HTML of a mj-raw.",
    "mj-selector": "Write the attributes in the HTML of a mj-raw.",
    "mj-html-attribute": "Write the attributes in the HTML of a mj-raw.",
}
"""Components of the reference that MRML refuses, each with the way round it."""

DROPPED: Final[Mapping[str, frozenset[str]]] = {
    tag: frozenset(names.split())
    for tag, names in {
        "mj-text": "background-color",
        "mj-button": "title",
        "mj-image": "sizes border-bottom border-top",
        "mj-spacer": "border border-bottom border-left border-right border-top",
        "mj-table": "font-weight role",
        "mj-column": (
            "inner-background-color inner-border inner-border-bottom inner-border-left inner-border-radius"
            " inner-border-right inner-border-top"
        ),
        "mj-section": "gutter text-padding",
        "mj-wrapper": "gutter text-padding gap",
        "mj-hero": "border-radius",
        "mj-social": "border table-layout",
        "mj-social-element": "icon-position border srcset sizes",
        "mj-accordion-title": "font-weight",
    }.items()
}
"""Attributes of the reference that MRML leaves out without a word."""

COMPUTED: Final[Mapping[str, frozenset[str]]] = {
    tag: frozenset(names.split())
    for tag, names in {
        "mj-body": "width",
        "mj-breakpoint": "width",
        "mj-image": "width border-left border-right fluid-on-mobile",
        "mj-column": "width",
        "mj-group": "width",
        "mj-section": "full-width",
        "mj-wrapper": "full-width",
        "mj-hero": "mode height",
        "mj-social": "icon-size icon-height mode",
        "mj-social-element": "icon-size icon-height name",
        "mj-navbar": "hamburger",
        "mj-accordion": "icon-position",
        "mj-accordion-element": "icon-position",
        "mj-carousel": "thumbnails tb-width",
    }.items()
}
"""Attributes MRML calculates with: a mark in them vanishes."""

VOID_HTML: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
OPTIONAL_END: Final = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "thead",
        "tbody",
        "tfoot",
        "option",
        "colgroup",
        "caption",
        "html",
        "head",
        "body",
    ]
)

_TYPED: Final[Mapping[str, Mapping[str, str]]] = {
    "mj-accordion": {
        "color": "container-background-color",
        "string": "border font-family icon-wrapped-url icon-wrapped-alt icon-unwrapped-url icon-unwrapped-alt",
        "enum(top,middle,bottom)": "icon-align",
        "unit(px,%)": "icon-width icon-height padding-bottom padding-left padding-right padding-top",
        "enum(left,right)": "icon-position",
        "unit(px,%){1,4}": "padding",
    },
    "mj-accordion-element": {
        "color": "background-color",
        "string": "border font-family icon-wrapped-url icon-wrapped-alt icon-unwrapped-url icon-unwrapped-alt",
        "enum(top,middle,bottom)": "icon-align",
        "unit(px,%)": "icon-width icon-height",
        "enum(left,right)": "icon-position",
    },
    "mj-accordion-text": {
        "color": "background-color color",
        "unit(px)": "font-size",
        "string": "font-family font-weight",
        "signed(px,em)": "letter-spacing",
        "unit(px,%,)": "line-height",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "padding",
    },
    "mj-accordion-title": {
        "color": "background-color color",
        "unit(px)": "font-size",
        "string": "font-family font-weight",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "padding",
    },
    "mj-body": {
        "unit(px)": "width",
        "color": "background-color",
        "string": "id",
    },
    "mj-breakpoint": {
        "unit(px)": "width",
    },
    "mj-button": {
        "enum(left,center,right)": "align",
        "color": "background-color color container-background-color",
        "string": (
            "border-bottom border-left border-radius border-right border-top border font-family font-style "
            "font-weight href name title rel target text-decoration text-transform"
        ),
        "unit(px)": "font-size",
        "unit(px,%)": "height padding-bottom padding-left padding-right padding-top width",
        "unit(px,%){1,4}": "inner-padding padding",
        "signed(px,em)": "letter-spacing",
        "unit(px,%,)": "line-height",
        "enum(top,bottom,middle)": "vertical-align",
        "enum(left,right,center)": "text-align",
    },
    "mj-carousel": {
        "enum(left,center,right)": "align",
        "string": "border-radius left-icon right-icon tb-border tb-border-radius",
        "color": "container-background-color tb-hover-border-color tb-selected-border-color",
        "unit(px,%)": "icon-width padding-top padding-bottom padding-left padding-right tb-width",
        "unit(px,%){1,4}": "padding",
        "enum(visible,hidden,supported)": "thumbnails",
    },
    "mj-carousel-image": {
        "string": "alt href rel target title src thumbnails-src border-radius tb-border tb-border-radius",
    },
    "mj-column": {
        "color": "background-color inner-background-color",
        "string": (
            "border border-bottom border-left border-radius border-right border-top inner-border "
            "inner-border-bottom inner-border-left inner-border-radius inner-border-right inner-border-top"
        ),
        "enum(ltr,rtl)": "direction",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top width",
        "unit(px,%){1,4}": "padding",
        "enum(top,bottom,middle)": "vertical-align",
    },
    "mj-divider": {
        "color": "border-color container-background-color",
        "string": "border-style",
        "unit(px)": "border-width",
        "unit(px,%){1,4}": "padding",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top width",
        "enum(left,center,right)": "align",
    },
    "mj-font": {
        "string": "name href",
    },
    "mj-group": {
        "color": "background-color",
        "enum(ltr,rtl)": "direction",
        "enum(top,bottom,middle)": "vertical-align",
        "unit(px,%)": "width",
    },
    "mj-hero": {
        "string": "mode background-url background-position border-radius",
        "unit(px,%)": (
            "height background-width background-height inner-padding-top inner-padding-left inner-padding-right "
            "inner-padding-bottom padding-bottom padding-left padding-right padding-top"
        ),
        "color": "inner-background-color background-color",
        "unit(px,%){1,4}": "inner-padding padding",
        "enum(top,bottom,middle)": "vertical-align",
    },
    "mj-image": {
        "string": (
            "alt href name src srcset sizes title rel border border-bottom border-left border-right border-top "
            "border-radius target usemap"
        ),
        "enum(left,center,right)": "align",
        "color": "container-background-color",
        "boolean": "fluid-on-mobile",
        "unit(px,%){1,4}": "padding",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top max-height",
        "unit(px)": "width font-size",
        "unit(px,auto)": "height",
    },
    "mj-navbar": {
        "enum(left,center,right)": "align ico-align",
        "string": "base-url hamburger ico-open ico-close ico-font-family ico-text-transform ico-text-decoration",
        "color": "ico-color",
        "unit(px,%)": (
            "ico-font-size ico-padding-left ico-padding-top ico-padding-right ico-padding-bottom padding-left "
            "padding-top padding-right padding-bottom"
        ),
        "unit(px,%){1,4}": "ico-padding padding",
        "unit(px,%,)": "ico-line-height",
    },
    "mj-navbar-link": {
        "color": "color",
        "string": "font-family font-style font-weight href name target rel text-decoration text-transform",
        "unit(px)": "font-size",
        "signed(px,em)": "letter-spacing",
        "unit(px,%,)": "line-height",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "padding",
    },
    "mj-raw": {
        "enum(file-start)": "position",
    },
    "mj-section": {
        "color": "background-color",
        "string": (
            "background-url background-size background-position background-position-x background-position-y "
            "border border-bottom border-left border-radius border-right border-top"
        ),
        "enum(repeat,no-repeat)": "background-repeat",
        "enum(ltr,rtl)": "direction",
        "enum(full-width,false,)": "full-width",
        "unit(px,%)": "gutter padding-top padding-bottom padding-left padding-right",
        "unit(px,%){1,4}": "padding text-padding",
        "enum(left,center,right)": "text-align",
    },
    "mj-social": {
        "enum(left,right,center)": "align",
        "string": "border border-radius font-family font-style font-weight text-decoration",
        "color": "container-background-color color",
        "unit(px)": "font-size",
        "unit(px,%)": "icon-size icon-height padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "icon-padding inner-padding padding text-padding",
        "unit(px,%,)": "line-height",
        "enum(horizontal,vertical)": "mode",
        "enum(auto,fixed)": "table-layout",
        "enum(top,bottom,middle)": "vertical-align",
    },
    "mj-social-element": {
        "enum(left,center,right)": "align",
        "enum(left,right)": "icon-position",
        "color": "background-color color",
        "string": (
            "border border-radius font-family font-style font-weight href name rel src srcset sizes alt title "
            "target text-decoration"
        ),
        "unit(px)": "font-size",
        "unit(px,%)": "icon-size icon-height padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "icon-padding padding text-padding",
        "unit(px,%,)": "line-height",
        "enum(top,middle,bottom)": "vertical-align",
    },
    "mj-spacer": {
        "string": "border border-bottom border-left border-right border-top",
        "color": "container-background-color",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top height",
        "unit(px,%){1,4}": "padding",
    },
    "mj-style": {
        "string": "inline",
    },
    "mj-table": {
        "enum(left,right,center)": "align",
        "string": "border font-family font-weight",
        "integer": "cellpadding cellspacing",
        "color": "container-background-color color",
        "unit(px)": "font-size",
        "unit(px,%,)": "line-height",
        "unit(px,%)": "padding-bottom padding-left padding-right padding-top",
        "unit(px,%){1,4}": "padding",
        "enum(none,presentation)": "role",
        "enum(auto,fixed,initial,inherit)": "table-layout",
        "enum(top,bottom,middle)": "vertical-align",
        "unit(px,%,auto)": "width",
    },
    "mj-text": {
        "enum(left,right,center,justify)": "align",
        "color": "background-color color container-background-color",
        "string": "font-family font-style font-weight text-decoration text-transform",
        "unit(px)": "font-size",
        "unit(px,%)": "height padding-bottom padding-left padding-right padding-top",
        "signed(px,em)": "letter-spacing",
        "unit(px,%,)": "line-height",
        "unit(px,%){1,4}": "padding",
        "enum(top,bottom,middle)": "vertical-align",
    },
    "mj-wrapper": {
        "color": "background-color",
        "string": (
            "background-url background-size background-position background-position-x background-position-y "
            "border border-bottom border-left border-radius border-right border-top"
        ),
        "enum(repeat,no-repeat)": "background-repeat",
        "enum(ltr,rtl)": "direction",
        "enum(full-width,false,)": "full-width",
        "unit(px,%)": "gutter padding-top padding-bottom padding-left padding-right",
        "unit(px,%){1,4}": "padding text-padding",
        "enum(left,center,right)": "text-align",
        "unit(px)": "gap",
    },
}

ATTRIBUTES: Final[Mapping[str, Mapping[str, str]]] = {
    tag: {name: kind for kind, names in typed.items() for name in names.split()} for tag, typed in _TYPED.items()
} | {"mjml": {"lang": "string", "dir": "string", "version": "string", "owa": "string"}}
"""component -> attribute -> its type in the reference's notation: `color`, `enum(a,b)`, `unit(px,%){1,4}` ..."""

EVERYWHERE: Final = frozenset({"css-class", "mj-class"})
"""Attributes every component takes."""

KNOWN: Final = frozenset(CHILDREN) | ENDING | EMPTY | frozenset(ATTRIBUTES) | {"mj-attributes", "mj-all", "mj-class"}
"""Every component name that means something; mj-include is settled before the check."""
