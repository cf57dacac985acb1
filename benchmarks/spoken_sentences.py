"""Sentences such as podcasts are made of, and a program that speaks them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.debian_packages import package_folder

SAMPLE_RATE_HZ = 16_000
SPEAK_SECONDS = 60

VOICES = ("slt", "rms", "awb", "kal16")

SENTENCES = (
    "The city council wants to close the old bridge to cars before next summer.",
    "Octopuses can taste with their arms and solve simple puzzles for food.",
    "We bought the bakery from my uncle when flour was still cheap.",
    "Interest rates went up again, so many families postponed buying a house.",
    "The telescope found water vapour around a planet twice the size of Earth.",
    "Knead the dough for ten minutes and let it rest under a damp towel.",
    "In the second half our goalkeeper saved three penalties in a row.",
    "My grandmother crossed the border on foot in the winter of forty five.",
    "A good password is long, and you never use it in two places.",
    "The orchestra tunes to the oboe because its pitch is the most stable.",
    "Farmers in the valley are planting trees to stop the wind from taking the soil.",
    "Doctors now advise that patients start walking the day after the operation.",
    "The novel is told by a dog who does not understand why his owner is sad.",
    "Electric buses are quiet, but charging thirty of them at night needs a new cable.",
    "Bees dance to tell their sisters where the flowers are.",
    "The court decided that the company must pay back the money within a year.",
    "If you sleep less than six hours, your memory gets noticeably worse.",
    "Volcanic ash stopped all flights over the northern islands for a week.",
    "She learned to repair bicycles in a workshop behind the railway station.",
    "The museum returned twelve bronze statues to the country they were taken from.",
    "Our river used to freeze every January, and children skated to school.",
    "Negotiations over the fishing quota ended without an agreement last night.",
    "To prune an apple tree, cut away the branches that grow towards the middle.",
    "The first computer in our office was as large as a wardrobe.",
    "Penguins find their partner in the colony by the sound of the voice.",
    "Unemployment fell to its lowest level since the factory was opened.",
    "The actor forgot his lines and improvised the whole last scene.",
    "Vaccines train the immune system without making you ill.",
    "There are more stars in the galaxy than grains of sand in that desert.",
    "We walked along the coast for nine days and slept in lighthouses.",
    "The teacher lets her pupils grade their own homework on Fridays.",
    "Coffee was once forbidden because rulers feared what people said over a cup.",
    "Glaciers move only a few centimetres a day, yet they carve whole valleys.",
    "The chess champion lost to a boy of fourteen from a small village.",
    "Solar panels on the roof of the stadium feed half of the neighbourhood.",
    "Before the concert the drummer soaks his hands in warm water.",
    "The elephants remembered the keeper who had left thirty years before.",
    "A letter from the tax office should be answered within four weeks.",
    "The submarine cable was damaged by an anchor during the storm.",
    "Roman concrete gets stronger in sea water, and chemists now know why.",
    "He collects maps of places that were planned but never built.",
    "Too much salt on the roads in winter harms the trees beside them.",
    "The translator spent a week on a single joke in the third chapter.",
    "Wolves have come back to the forest, and the shepherds want compensation.",
    "Our guest tonight ran across the Sahara with nothing but a small backpack.",
    "The library lends out drills, tents and sewing machines as well as books.",
    "Sharks were swimming in the ocean before there were any trees on land.",
    "The new railway tunnel shortens the journey through the mountains by an hour.",
    "Paint the wall twice and open the window while it dries.",
    "The minister resigned after the newspaper printed her private messages.",
    "A violin made of carbon fibre does not mind the rain.",
    "Half of the medicine in that cupboard had been out of date for years.",
    "The jury gave the first prize to a film without a single spoken word.",
    "When the power failed, the whole village gathered around the fire station.",
    "Honey does not go bad, even after three thousand years in a tomb.",
    "The brewery now makes lemonade because young people drink less beer.",
    "Astronauts grow a little taller while there is no gravity.",
    "The carpenter showed us how to join two boards without a single nail.",
    "Heavy rain turned the car park of the supermarket into a lake.",
    "Every spring the toads are carried across the road in buckets.",
)


def speak(text: str, voice: str) -> NDArray[np.float32]:
    """Return ``text`` as one of `VOICES` says it, ``(num_samples,)`` at 16 kHz.

    Raises:
        PackageUnavailable: flite cannot be had on this machine.
    """
    program = package_folder("flite") / "usr/bin/flite"
    libraries = next((package_folder("libflite1") / "usr/lib").glob("*/libflite.so.1")).parent
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / "spoken.wav"
        command = [str(program), "-voice", voice, "-t", text, "-o", str(spoken)]
        subprocess.run(
            command, env=environment, check=True, capture_output=True, timeout=SPEAK_SECONDS
        )
        return read_sound(spoken)


def read_sound(path: Path) -> NDArray[np.float32]:
    """Return a sound as mono samples at 16 kHz."""
    import soundfile
    import soxr

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    resampled = soxr.resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    return np.asarray(resampled, dtype=np.float32)
