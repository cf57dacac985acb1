"""What Kindred finds and what that takes; every figure of the README comes from here.

Run with the threads that the command runs with.
"""

from encoders.thread_defaults import set_thread_defaults

set_thread_defaults()
