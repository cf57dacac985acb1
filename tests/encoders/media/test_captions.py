from __future__ import annotations

import pytest

from encoders.media.captions import Caption, InvalidCaptions, is_subrip, is_webvtt, read_captions

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>First</i> line
second line

2
01:02:03,04 --> 01:02:04,000 X1:40 X2:600
{\\an8}Fish &amp; chips
"""

VTT = """WEBVTT - some title
X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0

NOTE a remark
on two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Mary>Hello <c.loud>you</c>

00:03.000 --> 00:04.000

00:00.500 --> 00:00.900
earlier
"""


def test_subrip_is_read() -> None:
    assert is_subrip(SRT)
    assert not is_webvtt(SRT)
    assert read_captions(SRT) == [
        Caption(1.0, 2.5, "First line second line"),
        Caption(3723.04, 3724.0, "Fish & chips"),
    ]


def test_webvtt_is_read_without_notes_styles_and_empty_cues_in_order_of_time() -> None:
    assert is_webvtt(VTT)
    assert not is_subrip(VTT)
    assert read_captions(VTT) == [Caption(0.5, 0.9, "earlier"), Caption(1.0, 2.0, "Hello you")]


@pytest.mark.parametrize(
    "text",
    ["Just words", "1\n2\n3", "12:30 --> lunch", "WEBVTTX", "a --> b", "1. 00:00:01,000 then"],
)
def test_other_text_is_not_taken_for_captions(text: str) -> None:
    assert not is_subrip(text)
    assert not is_webvtt(text)


@pytest.mark.parametrize(
    ("cue", "said"),
    [
        ("00:00:01 --> 00:00:02,000", r"line 2: expected two times"),
        ("00:00:05,000 --> 00:00:02,000", r"ends at 2 s, before it begins at 5 s"),
    ],
)
def test_a_bad_line_of_times_is_named(cue: str, said: str) -> None:
    with pytest.raises(InvalidCaptions, match=said):
        read_captions(f"1\n{cue}\nwords\n")


def cues(*texts: str) -> str:
    return "\n".join(
        f"00:{n:02d}.000 --> 00:{n + 1:02d}.000\n{text}\n" for n, text in enumerate(texts)
    )


def test_captions_that_roll_upwards_are_said_once() -> None:
    rolling = cues("one two", "one two\nthree four", "three four", "three four\nfive")
    assert [each.text for each in read_captions(rolling)] == ["one two", "three four", "five"]


AUTOMATIC = """WEBVTT
Kind: captions

00:00:00.160 --> 00:00:02.470 align:start position:0%
~
hello<00:00:00.480><c> world</c>

00:00:02.470 --> 00:00:02.480 align:start position:0%
hello world
~

00:00:02.480 --> 00:00:04.309 align:start position:0%
hello world
this<00:00:02.720><c> is</c>

00:00:04.309 --> 00:00:04.319 align:start position:0%
this is
~
""".replace("~", " ")


def test_captions_made_by_machine_are_said_once_and_when_they_are_heard() -> None:
    assert read_captions(AUTOMATIC) == [
        Caption(0.16, 2.47, "hello world"),
        Caption(2.48, 4.309, "this is"),
    ]


@pytest.mark.parametrize("text", ["La la", "La la\nla lo"])
def test_a_refrain_is_said_as_often_as_it_is_sung(text: str) -> None:
    assert len(read_captions(cues(text, text, text))) == 3


def test_a_caption_that_is_there_twice_at_a_time_is_said_once() -> None:
    assert len(read_captions(2 * "00:01.000 --> 00:02.000\ntwice\n\n")) == 1


@pytest.mark.parametrize("between", ["", "\n", " \n", "\n\n\n"])
def test_cues_end_where_the_next_begins(between: str) -> None:
    text = f"1\n00:01.000 --> 00:02.000\none\n{between}2\n00:03,000 --> 00:04,000\ntwo\n"
    assert [each.text for each in read_captions(text)] == ["one", "two"]


def test_a_cue_may_be_named_like_a_note() -> None:
    text = "WEBVTT\n\nNOTES-1\n00:01.000 --> 00:02.000\nwords\n"
    assert read_captions(text) == [Caption(1.0, 2.0, "words")]


@pytest.mark.parametrize("line", ["<a", "{\\", "&amp;#", "a\n", " "])
def test_the_time_grows_with_the_text_and_not_with_its_square(line: str) -> None:
    words = line * 100_000 + "b"
    assert len(read_captions(cues(words, words))) == 2
