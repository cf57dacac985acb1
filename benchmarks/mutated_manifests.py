"""Manifests that are wrong in their bytes, their JSON or their meaning."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DIGEST = re.compile(rb'"manifest_sha256": "([0-9a-f]{64})"')

NUMBERS: tuple[Any, ...] = (0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**30, 1.5, 1e308, -0.0)
STRINGS = (
    "",
    "../elsewhere",
    "/etc/passwd",
    "a\0b",
    "x" * 100_000,
    "\ud83d\ude00",
    "exact",
    "faiss",
)
OTHER_TYPES: tuple[Any, ...] = (None, True, [], {}, [[]], {"": 0}, "text", 7)
NESTING = 20_000

Change = Callable[[bytes, random.Random], bytes]


def mutated(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Return what was done to a manifest, and the manifest; it differs from ``content``."""
    while True:
        name = chance.choice(sorted(CHANGES))
        changed = CHANGES[name](content, chance)
        if changed != content:
            return name, changed


def with_own_digest(content: bytes) -> bytes:
    """Return a manifest that says its own sha256, if it says any."""
    found = DIGEST.search(content)
    if found is None:
        return content
    start, stop = found.span(1)
    zeroed = content[:start] + b"0" * 64 + content[stop:]
    return content[:start] + hashlib.sha256(zeroed).hexdigest().encode() + content[stop:]


def _in_json(change: Callable[[dict[str, Any], random.Random], None]) -> Change:
    def changed(content: bytes, chance: random.Random) -> bytes:
        tree = json.loads(content)
        change(tree, chance)
        return json.dumps(tree, indent=1).encode() + b"\n"

    return changed


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container with each of its keys."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def _chosen(tree: Any, chance: random.Random, *kinds: type) -> tuple[Any, Any]:
    fitting = [
        (holder, key)
        for holder, key in _places(tree)
        if (not kinds or type(holder[key]) in kinds) and key != "manifest_sha256"
    ]
    return chance.choice(fitting)


def _drop(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance)
    del holder[key]


def _rename(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance)
    if isinstance(holder, dict):
        holder[chance.choice((f"{key}x", key.upper(), "../" + key, ""))] = holder.pop(key)
    else:
        holder.reverse()


def _other_type(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance)
    holder[key] = chance.choice(OTHER_TYPES)


def _other_number(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance, int, float)
    near = (holder[key] + 1, holder[key] - 1, holder[key] * 2, -holder[key])
    holder[key] = chance.choice(near + NUMBERS)


def _other_string(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance, str)
    value = holder[key]
    holder[key] = chance.choice((*STRINGS, value[:-1], value + "0", value[::-1]))


def _other_switch(tree: dict[str, Any], chance: random.Random) -> None:
    holder, key = _chosen(tree, chance, bool)
    holder[key] = not holder[key]


def _swap(tree: dict[str, Any], chance: random.Random) -> None:
    kind = chance.choice((str, int, dict))
    (one, first), (other, second) = (_chosen(tree, chance, kind) for _ in range(2))
    # A value is never put below itself.
    if kind is not dict or one is other:
        one[first], other[second] = other[second], one[first]


def _unknown(tree: dict[str, Any], chance: random.Random) -> None:
    holder, _ = _chosen(tree, chance)
    if isinstance(holder, dict):
        holder[f"unknown-{chance.randrange(100)}"] = chance.choice(OTHER_TYPES)


def _twice(content: bytes, chance: random.Random) -> bytes:
    """Give a key a second time, with another value."""
    keys = list(re.finditer(rb'"(\w+)": ', content))
    key = chance.choice(keys)
    value = chance.choice((b"0", b"null", b'""', b"[]", b"{}", b"-5"))
    return content[: key.start()] + key.group(0) + value + b", " + content[key.start() :]


def _no_number(content: bytes, chance: random.Random) -> bytes:
    numbers = list(re.finditer(rb": (\d+)", content))
    start, stop = chance.choice(numbers).span(1)
    value = chance.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"01", b"1_0"))
    return content[:start] + value + content[stop:]


def _nested(content: bytes, chance: random.Random) -> bytes:
    numbers = list(re.finditer(rb": (\d+)", content))
    start, stop = chance.choice(numbers).span(1)
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return content[:start] + opening * NESTING + b"1" + closing * NESTING + content[stop:]


def _flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _longer(content: bytes, chance: random.Random) -> bytes:
    return content + chance.choice((b"{}", b"\0", b"\xff", b",", b"\n\n", content))


def _not_utf8(content: bytes, chance: random.Random) -> bytes:
    place = chance.choice([found.end() for found in re.finditer(rb': "', content)])
    return (
        content[:place] + chance.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80")) + content[place:]
    )


def _spaced(content: bytes, chance: random.Random) -> bytes:
    return json.dumps(json.loads(content), indent=chance.choice((0, 2, 3))).encode()


CHANGES: Mapping[str, Change] = {
    "missing": _in_json(_drop),
    "renamed": _in_json(_rename),
    "another type": _in_json(_other_type),
    "another number": _in_json(_other_number),
    "another string": _in_json(_other_string),
    "another switch": _in_json(_other_switch),
    "swapped": _in_json(_swap),
    "unknown": _in_json(_unknown),
    "twice": _twice,
    "no number": _no_number,
    "nested": _nested,
    "flipped bit": _flipped,
    "cut": _cut,
    "longer": _longer,
    "not UTF-8": _not_utf8,
    "other spaces": _spaced,
}
