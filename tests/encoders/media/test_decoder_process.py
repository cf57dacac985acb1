"""A decoder process by itself."""

import subprocess
import time
from multiprocessing.connection import Pipe

from encoders.child_processes import child_environment, module_command
from encoders.media.decode_limits import DecodeLimits
from encoders.media.decoder_child import DECODER_MODULE


def test_a_process_ends_in_the_middle_of_its_work_when_its_parent_is_gone() -> None:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            module_command(DECODER_MODULE, str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            env=child_environment(),
        )
    with ours:
        ours.send(DecodeLimits())
        assert ours.recv() == "ready"
        ours.send((time.sleep, (60,), {}))
        assert not ours.poll(0.2)
    assert process.wait(10) == 0
