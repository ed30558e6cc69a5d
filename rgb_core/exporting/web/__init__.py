"""The self-contained page: an avatar that any browser opens, turns, drives and relights."""

from .page import write_page

__all__ = ["write_page"]
