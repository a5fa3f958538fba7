"""Plain HTML pages without scripts: what a keyboard and a screen reader can use."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from project.sandbox.wire import Headers, Request, Response, html_response

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
button { font: inherit; padding: .4rem .9rem; border: 1px solid #57606a; border-radius: .4rem;
  background: #f6f8fa; color: #1b1f24; cursor: pointer }
button.main { background: #0b5cad; border-color: #0b5cad; color: #fff }
:focus-visible { outline: 3px solid #b35900; outline-offset: 2px }
form { margin: .5rem 0 } fieldset { border: 1px solid #8c959f; border-radius: .4rem; margin: 1rem 0 }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .8rem .2rem 0 }
code { overflow-wrap: anywhere } .note { color: #57606a }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } .note { color: #9da7b1 }
  button { background: #21262d; color: #e6edf3; border-color: #8c959f } }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def page(title: str, *parts: str, status: int = 200, headers: Headers = ()) -> Response:
    """A whole page; `parts` are HTML already."""
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>"
    )
    return html_response(
        text,
        status=status,
        headers=(("Content-Security-Policy", POLICY), ("Cache-Control", "no-store"), *headers),
    )


def paragraph(text: str, *, note: bool = False) -> str:
    return f"<p{' class=note' if note else ''}>{escape(text)}</p>"


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def form(action: str, *parts: str) -> str:
    return f'<form method="post" action="{escape(action)}">{"".join(parts)}</form>'


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def button(label: str, *, name: str = "", value: str = "", main: bool = False) -> str:
    named = f' name="{escape(name)}" value="{escape(value)}"' if name else ""
    return f"<button{named}{' class=main' if main else ''}>{escape(label)}</button> "


def checkbox(label: str, *, name: str, value: str = "true", checked: bool = False) -> str:
    mark = " checked" if checked else ""
    box = f'<input type="checkbox" name="{escape(name)}" value="{escape(value)}"{mark}>'
    return f"<div><label>{box} {escape(label)}</label></div>"


def text_field(label: str, *, name: str, value: str = "") -> str:
    return f'<div><label>{escape(label)} <input name="{escape(name)}" value="{escape(value)}"></label></div>'


def choice(label: str, *, name: str, options: Iterable[str], value: str = "") -> str:
    rows = "".join(
        f"<option{' selected' if option == value else ''}>{escape(option)}</option>" for option in options
    )
    return f'<div><label>{escape(label)} <select name="{escape(name)}">{rows}</select></label></div>'


def fieldset(legend: str, *parts: str) -> str:
    return f"<fieldset><legend>{escape(legend)}</legend>{''.join(parts)}</fieldset>"


def is_own_origin(request: Request) -> bool:
    """Whether a request comes from a page of this very host, or from no page at all."""
    origin = request.headers.get("Origin")
    return origin is None or origin == f"http://{request.header('Host')}"


def foreign_origin() -> Response:
    return page("Refused", paragraph("Another site's page may not do this."), status=403)
