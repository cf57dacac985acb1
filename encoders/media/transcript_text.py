"""Transcripts as text for other programs: SubRip, WebVTT, timed JSON, plain words."""

from __future__ import annotations

from collections.abc import Callable

from encoders.media.content import Transcript, Utterance


def transcript_srt(transcript: Transcript) -> str:
    """Return a transcript as SubRip."""
    return "".join(
        f"{number}\n{_cue(said, ',', _plain)}\n"
        for number, said in enumerate(transcript.utterances, 1)
    )


def transcript_vtt(transcript: Transcript) -> str:
    """Return a transcript as WebVTT."""
    return "WEBVTT\n\n" + "".join(
        f"{_cue(said, '.', _escaped)}\n" for said in transcript.utterances
    )


def transcript_plain(transcript: Transcript) -> str:
    """Return the words alone, an utterance a line."""
    return "".join(f"{said.text}\n" for said in transcript.utterances)


def transcript_json(transcript: Transcript) -> dict[str, object]:
    """Return a transcript in the shape that Whisper's tools write and `read_transcript` reads."""
    return {
        "language": transcript.language,
        "origin": transcript.origin,
        "segments": [_segment(said) for said in transcript.utterances],
    }


def _segment(said: Utterance) -> dict[str, object]:
    segment: dict[str, object] = {
        "start": said.start_seconds,
        "end": said.stop_seconds,
        "text": said.text,
    }
    if said.words:
        segment["words"] = [
            {
                "start": word.start_seconds,
                "end": word.stop_seconds,
                "word": word.text,
                "probability": word.probability,
            }
            for word in said.words
        ]
    return segment


def _cue(said: Utterance, point: str, written: Callable[[str], str]) -> str:
    start, stop = _clock(said.start_seconds, point), _clock(said.stop_seconds, point)
    return f"{start} --> {stop}\n{written(said.text)}\n"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    # An arrow in the words of a cue would be read as a line of times.
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
