"""The sign-in page: plain HTML, so that it works without scripts."""

from __future__ import annotations

from jinja2 import Environment

from layouts.files import named

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · D'insight</title>
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
<script src="/assets/theme.js"></script>
{%- for sheet in ("base", "forms", "signin") %}
<link rel="stylesheet" href="/assets/{{ sheet }}.css">
{%- endfor %}
</head>
<body class="signin">
<main class="signin-card">
<p class="brand"><span class="mark" aria-hidden="true"></span>D'insight</p>
<h1>Sign in</h1>
{%- if error %}
<p class="message error" role="alert" id="signin-error">{{ error }}</p>
{%- endif %}
<form method="post" action="/signin">
<input type="hidden" name="next" value="{{ next }}">
<div class="field">
<label for="signin-email">E-mail</label>
<input class="input" type="email" id="signin-email" name="email" value="{{ email }}" required
 autocomplete="username" inputmode="email" maxlength="254"
 {%- if error %} aria-describedby="signin-error"{% endif %}
 {%- if not email %} autofocus{% endif %}>
</div>
<div class="field">
<label for="signin-password">Password</label>
<input class="input" type="password" id="signin-password" name="password" required
 autocomplete="current-password" maxlength="128"
 {%- if error %} aria-describedby="signin-error"{% endif %}
 {%- if email %} autofocus{% endif %}>
</div>
<label class="check"><input type="checkbox" id="signin-remember" name="remember" value="yes"
 {%- if remember %} checked{% endif %}>Keep me signed in on this device</label>
<button class="button primary wide" type="submit" id="signin-submit">Sign in</button>
</form>
<p class="hint">No password yet? On the server, <code>python app.py link</code> prints a link that
signs you in once; the account page then sets a password.</p>
</main>
</body>
</html>
"""

TEMPLATE = Environment(autoescape=True).from_string(PAGE)


def page(*, next_path: str, error: str = "", email: str = "", remember: bool = False) -> str:
    """The whole page, every value escaped."""
    return named(TEMPLATE.render(next=next_path, error=error, email=email, remember=remember))
