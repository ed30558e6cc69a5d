"""`rgb view`: the avatar under the mouse, in a browser."""

import webbrowser
from typing import Annotated

import typer

from ..console import Reporter, print_warning
from ..options import AvatarFolder, Quiet


def view(
    avatar: AvatarFolder,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to serve on; 0 takes a free one.")] = 0,
    host: Annotated[
        str, typer.Option("--host", help="Address to serve on; another than 127.0.0.1 opens it to the network.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only serve; open no browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Open an avatar in the browser: turn it, move its face, relight it. Ends with Ctrl-C.

    The page is the one that `rgb export AVATAR -o head.html` writes to a file.

    Example: rgb view demo/avatar
    """
    from rgb_core.avatar import load_avatar
    from rgb_core.exporting.web import page, serve

    reporter = Reporter(quiet)
    model = load_avatar(avatar)
    with serve(page(model), host, port) as server:
        reporter.message(f"{model.name} at {server.url} (Ctrl-C ends)")
        if host not in ("127.0.0.1", "localhost", "::1"):
            print_warning(f"everyone who can reach {host} can see and copy this avatar")
        if not no_browser:
            webbrowser.open(server.url)
        server.wait()
