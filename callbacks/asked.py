"""What a page's script asks itself: a question's answer, without a Store of Dash's between.

`dinsight.ask(question, answer, value)` of `assets/live_net.js` sends what Dash would send had a
Store of the id `question` changed, and takes what Dash would have filled the Store `answer` with.
So sign-in, CSRF and what a wall screen may ask are the same as for every callback; but nothing goes
through the components of the page, which is ten to thirty rounds through all of them each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dash import Dash, Input, Output


def answer(app: Dash, question: str, answer: str, function: Callable[[Any], Any]) -> None:
    """Let the callback of these two ids, which no component has, call `function`."""
    app.callback(Output(answer, "data"), Input(question, "data"), prevent_initial_call=True)(
        function
    )
