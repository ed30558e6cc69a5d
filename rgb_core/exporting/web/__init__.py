"""The self-contained page: an avatar that any browser opens, turns, drives and relights."""

from .page import page, write_page
from .server import PageServer, serve

__all__ = ["PageServer", "page", "serve", "write_page"]
