"""Twelve plain sounds of well-known sources, computed on the spot, with their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Sound

SECONDS = 5.0
SHIFT_SECONDS = 0.1

Signal = NDArray[np.float64]


class _Tape:
    """A stretch of time to fill with sound.

    Args:
        sample_rate_hz: of the samples.
        seconds: its length.
    """

    def __init__(self, sample_rate_hz: int, seconds: float) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.times: Signal = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
        """``(num_samples,)`` seconds since the start."""

    def tone(self, frequency_hz: float) -> Signal:
        return np.sin(2 * np.pi * frequency_hz * self.times)

    def noise(self) -> Signal:
        """White noise, the same for the same length."""
        return np.random.default_rng(7).standard_normal(len(self.times))

    def hum(self) -> Signal:
        """Noise whose high frequencies are weak."""
        num_samples = max(1, round(0.0005 * self.sample_rate_hz))
        return np.convolve(self.noise(), np.full(num_samples, 1 / num_samples), "same")

    def spectrum_shaped(self, gains: Callable[[Signal], Signal]) -> Signal:
        """Noise with ``gains(frequencies_hz)``, loudest sample 1."""
        num_samples = len(self.times)
        frequencies_hz = np.linspace(0, self.sample_rate_hz / 2, num_samples // 2 + 1)
        spectrum = np.fft.rfft(self.noise()) * gains(frequencies_hz)
        shaped = np.fft.irfft(spectrum, num_samples)
        return np.asarray(shaped / np.abs(shaped).max())

    def since(self, starts_seconds: Sequence[float] | Signal) -> Signal:
        """Seconds since the last start before each sample; very long where none was."""
        starts = np.sort(np.asarray(starts_seconds, dtype=np.float64))
        last = np.searchsorted(starts, self.times, side="right") - 1
        return np.where(last >= 0, self.times - starts[np.maximum(last, 0)], 1e3)

    def every(self, period_seconds: float, *offsets_seconds: float) -> Signal:
        """Seconds since the last of starts that come round once a period."""
        firsts = np.arange(0, self.times[-1] + period_seconds, period_seconds)
        return self.since(np.concatenate([firsts + offset for offset in offsets_seconds or (0,)]))

    def within(self, period_seconds: float, on_seconds: float) -> NDArray[np.bool_]:
        """The first ``on_seconds`` of each period."""
        return self.times % period_seconds < on_seconds


def _fading(age_seconds: Signal, decay_seconds: float) -> Signal:
    return np.exp(-age_seconds / decay_seconds)


def _white_noise(tape: _Tape) -> Signal:
    return 0.2 * tape.noise()


def _heartbeat(tape: _Tape) -> Signal:
    age = tape.every(0.85, 0, 0.28)
    return 0.9 * _fading(age, 0.06) * (1 - _fading(age, 0.005)) * np.sin(2 * np.pi * 55 * age)


def _ticking_clock(tape: _Tape) -> Signal:
    age = tape.every(0.5)
    click = np.sin(2 * np.pi * 2600 * age) + 0.5 * np.sin(2 * np.pi * 4100 * age)
    return 0.6 * _fading(age, 0.006) * click


def _dial_tone(tape: _Tape) -> Signal:
    return 0.2 * (tape.tone(350) + tape.tone(440))


def _drum_beat(tape: _Tape) -> Signal:
    bass, snare, cymbal = tape.every(0.5), tape.every(0.5, 0.25), tape.every(0.125)
    falling = 50 * bass + 8 * (1 - _fading(bass, 0.02))
    noise = tape.noise()
    return (
        0.7 * _fading(bass, 0.12) * np.sin(2 * np.pi * falling)
        + 0.25 * _fading(snare, 0.07) * (noise + np.sin(2 * np.pi * 190 * snare))
        + 0.06 * _fading(cymbal, 0.02) * np.diff(noise, prepend=0)
    )


def _birds(tape: _Tape) -> Signal:
    age = tape.every(0.9, 0.1, 0.22, 0.34, 0.55)
    swell = np.where(age < 0.1, np.sin(np.pi * age / 0.1) ** 2, 0)
    return 0.4 * swell * np.sin(2 * np.pi * (4800 * age - 9000 * age**2))


def _engine(tape: _Tape) -> Signal:
    strokes_hz = 28 + 1.5 * np.sin(2 * np.pi * 0.7 * tape.times)
    age = (np.cumsum(strokes_hz) / tape.sample_rate_hz % 1) / 28
    rumble = tape.hum()
    stroke = np.sin(2 * np.pi * 90 * age) + 0.6 * rumble
    return 0.5 * _fading(age, 0.008) * stroke + 0.1 * rumble


def _smoke_alarm(tape: _Tape) -> Signal:
    return 0.4 * tape.tone(3100) * (tape.within(1.8, 1.4) & tape.within(0.4667, 0.25))


def _wind(tape: _Tape) -> Signal:
    gusts = 0.55 + 0.45 * np.sin(2 * np.pi * 0.3 * tape.times)
    low = tape.spectrum_shaped(lambda hertz: (hertz > 60) / (1 + (hertz / 400) ** 2))
    return 0.6 * gusts * low


def _crickets(tape: _Tape) -> Signal:
    return 0.3 * tape.tone(4500) * np.maximum(0, tape.tone(28)) * tape.within(0.8, 0.35)


def _car_horn(tape: _Tape) -> Signal:
    reeds = [tape.tone(hertz * part) / part**0.5 for hertz in (420, 500) for part in range(1, 9)]
    return np.asarray(0.12 * np.sum(reeds, axis=0) * tape.within(1.7, 0.9))


def _machine_gun(tape: _Tape) -> Signal:
    age = tape.every(0.1)
    return 0.9 * np.clip(_fading(age, 0.025) * tape.noise(), -1, 1) * tape.within(1.6, 1.1)


_SOUNDS: Mapping[str, Callable[[_Tape], Signal]] = {
    "white noise, static": _white_noise,
    "a heartbeat": _heartbeat,
    "a ticking clock": _ticking_clock,
    "the dial tone of a telephone": _dial_tone,
    "a drum beat": _drum_beat,
    "birds chirping": _birds,
    "an engine running": _engine,
    "a smoke alarm beeping": _smoke_alarm,
    "wind blowing": _wind,
    "crickets chirping at night": _crickets,
    "a car horn honking": _car_horn,
    "a machine gun firing": _machine_gun,
}

SOUND_NAMES: tuple[str, ...] = tuple(_SOUNDS)


def plain_sounds(sample_rate_hz: int, *, later_seconds: float = 0.0) -> tuple[Sound, ...]:
    """Return a sound of `SECONDS` for each of `SOUND_NAMES`, the same every time.

    Args:
        sample_rate_hz: 16 000 or more; a lower rate would fold the highest tones.
        later_seconds: how much later the cut begins, up to `SHIFT_SECONDS`.
    """
    tape = _Tape(sample_rate_hz, SECONDS + SHIFT_SECONDS)
    start = round(later_seconds * sample_rate_hz)
    stop = start + round(SECONDS * sample_rate_hz)
    return tuple(
        Sound(np.clip(make(tape), -1, 1).astype(np.float32)[start:stop], sample_rate_hz)
        for make in _SOUNDS.values()
    )
