"""The frame around every page: header, account menu, the place that pages are shown in."""

from __future__ import annotations

import enum
from typing import Any

from dash import dcc, html

from layouts import alert_rules, trials
from layouts.static_markup import markup

STREAMING, ACCOUNT, ADMIN = "/dashboard/streaming", "/account", "/admin"
MACHINES, BASELINES = "/dashboard/machines", "/dashboard/baselines"
VERSIONS = "/dashboard/versions"
ALERTS = "/dashboard/alerts"
# Where the header leads; the word is also the page's title (`assets/shell.js`).
PAGES = {"Machines": MACHINES, "Streaming": STREAMING, "Baselines": BASELINES, "Alerts": ALERTS}

# The theme's script stands in the head so that it runs before anything is painted. What scripts
# alone write to (`assets/dom.js`) stands outside of the app, where it takes part in no round of
# Dash's: the voice of the alerts, the dialogs that every page has, the toast.
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
<script src="/assets/theme.js"></script>
{%css%}
</head>
<body>
<a class="skip-link" href="#main">Skip to the content</a>
{%app_entry%}
<div data-folded>
DIALOGS
<div id="alerts-announce" class="sr-only" role="status"></div>
<div id="toast" class="toast" role="status" aria-live="polite"></div>
</div>
{%config%}
{%scripts%}
{%renderer%}
</body>
</html>
"""


@enum.unique
class Ids(enum.StrEnum):
    URL = "url"
    PAGE = "main"
    WHO = "account-who"
    ADMIN = "account-admin"
    SIGN_OUT = "account-sign-out"
    THEME = "theme-toggle"
    # alerts on every page: ask -> alerts, which the badge counts; deed -> done
    BADGE = "alerts-badge"
    ALERTS_ASK = "alerts-present-ask"
    ALERTS = "alerts-present"
    ALERTS_DEED = "alerts-deed"
    ALERTS_DONE = "alerts-done"


def index() -> str:
    """The document of every page, as Dash takes it."""
    return _INDEX.replace("DIALOGS", markup([*alert_rules.dialogs(), trials.dialog()]))


def shell() -> html.Div:
    """The page without its content, which follows the address."""
    return html.Div(
        [
            dcc.Location(id=Ids.URL, refresh=False),
            header(),
            html.Main(id=Ids.PAGE, tabIndex=-1),
        ],
        className="shell",
    )


def header() -> html.Header:
    return html.Header(
        [
            dcc.Link(
                [html.Span(className="mark", **{"aria-hidden": "true"}), "D'insight"],
                href=MACHINES,
                className="brand",
            ),
            html.Nav(
                [
                    dcc.Link(_named(word), href=path, className="nav-link")
                    for word, path in PAGES.items()
                ],
                className="pages",
                **{"aria-label": "Pages"},
            ),
            html.Div([theme_toggle(), account_menu()], className="header-end"),
        ],
        className="header",
    )


def _named(word: str) -> Any:
    """A page's name; that of the alerts with the number that nobody has acknowledged."""
    if word != "Alerts":
        return word
    return [word, html.Span(id=Ids.BADGE, className="nav-badge", hidden=True)]


def theme_toggle() -> html.Button:
    """One button with two names, of which the style sheet shows the one that applies."""
    return html.Button(
        [
            html.Span("Switch to the dark theme", className="sr-only when-light"),
            html.Span("Switch to the light theme", className="sr-only when-dark"),
        ],
        id=Ids.THEME,
        className="icon-button theme-button",
        **{"data-theme-toggle": ""},
    )


def account_menu() -> html.Details:
    return html.Details(
        [
            html.Summary(
                html.Span("Account menu", className="sr-only"),
                className="icon-button account-button",
            ),
            html.Div(
                [
                    html.P(id=Ids.WHO, className="menu-who"),
                    dcc.Link("Account", href=ACCOUNT, className="menu-item"),
                    html.Div(
                        dcc.Link("Administration", href=ADMIN, className="menu-item"),
                        id=Ids.ADMIN,
                        hidden=True,
                    ),
                    html.Button(
                        "Sign out",
                        id=Ids.SIGN_OUT,
                        className="menu-item",
                        **{"data-sign-out": ""},
                    ),
                ],
                className="menu-list",
            ),
        ],
        className="menu",
    )


def not_found(path: str) -> html.Div:
    """The page of an address that leads nowhere."""
    return html.Div(
        [
            html.H1("There is no such page"),
            html.P(["Nothing is at ", html.Code(path), "."]),
            dcc.Link("Go to the streaming page", href=STREAMING, className="button primary"),
        ],
        className="notice-page",
    )
