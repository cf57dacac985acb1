import json

import pytest

from encoders.errors import KindredError
from encoders.media.rejection import MediaRejected
from encoders.serving.errors import EncoderFailed, Overloaded
from indexer.errors import KeyInUse
from search_api.errors import MediaGone
from search_api.problems import STATUSES, kindred_problem, problem_response, status_of


def test_an_error_takes_the_status_of_its_nearest_base() -> None:
    class Special(Overloaded):
        pass

    assert status_of(Special("x")) == 429
    assert status_of(MediaGone("x")) == 410


def test_an_unlisted_error_is_the_servers_own_and_tells_nothing() -> None:
    class Internal(KindredError):
        code = "internal"

    for error in (Internal("secret words", key="secret"), EncoderFailed("secret words")):
        problem = kindred_problem(error)
        assert problem.status == 500
        assert "secret" not in repr(problem)


def test_rejected_media_names_the_reason_and_hides_the_path() -> None:
    error = MediaRejected("truncated", "the data ends early", path="folder/upload-1", size=3)
    assert kindred_problem(error).context == {"reason": "truncated", "size": 3}


@pytest.mark.parametrize("kind", sorted(STATUSES, key=lambda kind: kind.__name__))
def test_whatever_may_pass_says_when_to_try_again(kind: type[KindredError]) -> None:
    error = kind("empty", "x") if issubclass(kind, MediaRejected) else kind("x")
    response = problem_response(kindred_problem(error))
    retry = response.headers.get("Retry-After")
    may_pass = response.status_code in (429, 503, 504) or kind is KeyInUse
    assert (retry is not None) == may_pass
    assert json.loads(response.content)["code"] == kind.code
