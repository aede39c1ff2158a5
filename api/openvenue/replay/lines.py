"""Reads a comma-separated file of numbers line by line: plain text, or compressed with gzip.

A file that was cut off in transfer is read to its end; its last line says so.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_EXCERPT_MAX = 80


class MalformedFile(Exception):
    """A line does not match the format; names the file, the line and the expectation."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `ended` is True if the file goes on or has a line end after it."""

    number: int  # from 1
    fields: list[str]
    is_last: bool
    ended: bool

    def is_cut(self, fields: int) -> bool:
        """True if the file's end cut off this line, which should have that many fields."""
        return self.is_last and (not self.ended or len(self.fields) < fields)


def data_lines(path: Path) -> Iterator[Line]:
    """Yield every line that is not a header or empty. Raises MalformedFile for a damaged
    archive."""
    held: tuple[int, str] | None = None
    for number, text in enumerate(_text_lines(path), start=1):
        if not text.strip() or (number == 1 and _is_header(text)):
            continue
        if held is not None:
            yield _line(*held, is_last=False)
        held = number, text
    if held is not None:
        yield _line(*held, is_last=True)


def excerpt(text: str) -> str:
    """Return the beginning of a text from a file, fit for a terminal."""
    shown = "".join(character if " " <= character <= "~" else "?" for character in text)
    return shown if len(shown) <= _EXCERPT_MAX else f"{shown[:_EXCERPT_MAX]}…"


def _line(number: int, text: str, *, is_last: bool) -> Line:
    fields = [field.strip() for field in text.split(",")]
    return Line(number, fields, is_last, ended=text.endswith("\n"))


def _is_header(text: str) -> bool:
    names = text.rstrip("\n")
    return names.isprintable() and not any(_is_number(field) for field in names.split(","))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _text_lines(path: Path) -> Iterator[str]:
    """Read by the file's content, not by its name: archives are often renamed."""
    with path.open("rb") as plain:
        compressed = plain.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        binary = io.BytesIO(_unpack(path, plain.read())) if compressed else plain
        # Spreadsheets put a byte order mark before the first field.
        with io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace") as text:
            yield from text


def _unpack(path: Path, packed: bytes) -> bytes:
    """Return the readable part of a gzip file; `gzip` itself drops the last blocks of a cut one."""
    unpacked: list[bytes] = []
    try:
        while packed:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            unpacked.append(member.decompress(packed))
            packed = member.unused_data
    except zlib.error as error:
        raise MalformedFile(
            f"{path} is damaged: it begins as gzip but does not unpack ({error})"
        ) from error
    return b"".join(unpacked)
