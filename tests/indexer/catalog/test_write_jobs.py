from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.catalog.catalog import Catalog
from indexer.catalog.idempotency import KeyClaim, StoredAnswer
from indexer.catalog.job_records import JobEntry, JobLease, Settled
from indexer.catalog.live_writes import Changed, LiveWrites
from indexer.catalog.records import Applied, Change, ItemDeletion, ItemWrite
from indexer.catalog.write_jobs import MAX_ATTEMPTS, WriteJobs
from indexer.data_dir import DataDir
from indexer.errors import KeyInUse, KeyReused, LeaseLost, TooManyJobs
from tests.indexer.stored_items import COLLECTION, tiny_config, write_of

LONG = 60.0
LAPSED = -1.0


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(DataDir(tmp_path)) as opened:
        opened.register_collection(tiny_config())
        yield opened


@pytest.fixture
def jobs(catalog: Catalog) -> WriteJobs:
    return WriteJobs(catalog.engine)


@pytest.fixture
def live(catalog: Catalog) -> LiveWrites:
    return LiveWrites(catalog.engine)


def said(change: Change, applied: Applied, seq: int) -> str:
    return f'"{applied}"'


def create(jobs: WriteJobs, *item_ids: str, max_open: int = 100) -> str:
    entries = [JobEntry(item_id, f'"{item_id}"') for item_id in item_ids]
    made = jobs.create(
        COLLECTION, entries, lambda job_id: StoredAnswer(202, job_id), max_open=max_open
    )
    return made.answer_json


def leased(jobs: WriteJobs, seconds: float = LONG) -> JobLease:
    lease = jobs.lease(COLLECTION, seconds)
    assert lease is not None
    return lease


def done(live: LiveWrites, *changes: Change, claim: KeyClaim | None = None) -> Changed:
    return live.change(COLLECTION, changes, lambda _: StoredAnswer(200, "said"), claim)[0]


def settle(jobs: WriteJobs, lease: JobLease, *writes: ItemWrite) -> None:
    pending = {each.operation_json.strip('"'): each.ordinal for each in jobs.pending(lease, 100)}
    ordinals = [pending.get(write.item.item_id, 99) for write in writes]
    settled = [Settled(at, write) for at, write in zip(ordinals, writes, strict=True)]
    jobs.settle(lease, settled, said)


def test_jobs_are_taken_up_in_the_order_they_came_and_once(jobs: WriteJobs) -> None:
    first, second = create(jobs, "a"), create(jobs, "b")
    assert [leased(jobs).job_id, leased(jobs).job_id] == [first, second]
    assert jobs.lease(COLLECTION, LONG) is None


def test_a_job_whose_holder_is_silent_goes_to_another_which_alone_can_commit(
    jobs: WriteJobs, catalog: Catalog
) -> None:
    create(jobs, "a")
    dead = leased(jobs, LAPSED)
    alive = leased(jobs)
    assert alive.job_id == dead.job_id
    for late in (lambda: settle(jobs, dead, write_of("a")), lambda: jobs.finish(dead)):
        with pytest.raises(LeaseLost):
            late()
    with pytest.raises(LeaseLost):
        jobs.extend(dead)
    assert catalog.item(COLLECTION, "a") is None
    settle(jobs, alive, write_of("a"))
    jobs.finish(alive)
    job = jobs.get(COLLECTION, alive.job_id)
    assert job is not None
    assert (job.state, job.num_settled, job.results) == ("done", 1, (("a", "done", '"created"'),))


def test_an_extended_lease_is_kept(jobs: WriteJobs) -> None:
    create(jobs, "a")
    lease = leased(jobs, LAPSED)
    jobs.extend(JobLease(lease.job_id, COLLECTION, lease.owner, LONG))
    assert jobs.lease(COLLECTION, LONG) is None


def test_what_was_settled_is_not_done_again(jobs: WriteJobs) -> None:
    create(jobs, "a", "b")
    settle(jobs, leased(jobs, LAPSED), write_of("a"))
    assert [each.operation_json for each in jobs.pending(leased(jobs), 10)] == ['"b"']


def test_a_job_that_kills_its_holders_is_given_up(jobs: WriteJobs) -> None:
    job_id = create(jobs, "a")
    for _ in range(MAX_ATTEMPTS):
        leased(jobs, LAPSED)
    assert jobs.lease(COLLECTION, LAPSED) is None
    job = jobs.get(COLLECTION, job_id)
    assert job is not None
    assert (job.state, job.reason) == ("failed", "gave_up")


def test_a_postponed_job_loses_no_attempt(jobs: WriteJobs) -> None:
    create(jobs, "a")
    for _ in range(2 * MAX_ATTEMPTS):
        jobs.postpone(leased(jobs), LAPSED)
    jobs.postpone(leased(jobs), LONG)
    assert jobs.lease(COLLECTION, LONG) is None


@pytest.mark.parametrize("later", [write_of("a", seed=9), ItemDeletion("a")])
def test_a_write_that_came_after_a_job_is_what_stays(
    jobs: WriteJobs, live: LiveWrites, catalog: Catalog, later: Change
) -> None:
    done(live, write_of("a"))
    job_id = create(jobs, "a", "b")
    lease = leased(jobs)
    pending = jobs.pending(lease, 10)
    done(live, later)
    seq = catalog.change_seq(COLLECTION)
    late = [Settled(each.ordinal, write_of(name)) for each, name in zip(pending, "ab", strict=True)]
    jobs.settle(lease, late[:1], said)
    assert catalog.change_seq(COLLECTION) == seq
    jobs.settle(lease, late[1:], said)
    jobs.finish(lease)
    job = jobs.get(COLLECTION, job_id)
    assert job is not None
    assert [state for _, state, _ in job.results] == ["superseded", "done"]
    assert (catalog.item(COLLECTION, "a") is None) == isinstance(later, ItemDeletion)


def test_of_two_jobs_the_one_accepted_last_stays(jobs: WriteJobs, catalog: Catalog) -> None:
    earlier, later = create(jobs, "a"), create(jobs, "a")
    first, second = leased(jobs), leased(jobs)
    assert (first.job_id, second.job_id) == (earlier, later)
    settle(jobs, second, write_of("a"))
    settle(jobs, first, write_of("a", seed=5))
    jobs.finish(first)
    jobs.finish(second)
    assert catalog.change_seq(COLLECTION) == 1
    found = [jobs.get(COLLECTION, job_id) for job_id in (earlier, later)]
    states = [job.state for job in found if job]
    assert states == ["failed", "done"]


def test_there_is_a_limit_of_jobs(jobs: WriteJobs) -> None:
    create(jobs, "a", max_open=1)
    with pytest.raises(TooManyJobs):
        create(jobs, "b", max_open=1)
    jobs.finish(leased(jobs))
    create(jobs, "b", max_open=1)


def claim(owner: str, digest: str = "d" * 64, lease_seconds: float = LONG) -> KeyClaim:
    return KeyClaim(COLLECTION, "key", digest, owner, lease_seconds)


def test_one_of_many_attempts_at_once_gets_the_key(live: LiveWrites) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def attempt(number: int) -> None:
        mine = claim(f"owner-{number}")
        start.wait()
        try:
            known = live.claim(mine)
        except KeyInUse:
            outcomes.append("in use")
            return
        if known is None:
            done(live, write_of("a"), claim=mine)
        outcomes.append("known" if known else "mine")

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8
    assert outcomes.count("mine") == 1
    assert live.claim(claim("late")) == StoredAnswer(200, "said")


def test_a_claim_that_was_taken_over_commits_nothing(live: LiveWrites, catalog: Catalog) -> None:
    slow, quick = claim("slow", lease_seconds=LAPSED), claim("quick")
    assert live.claim(slow) is None
    assert live.claim(quick) is None
    with pytest.raises(KeyInUse, match="taken over"):
        done(live, write_of("a"), claim=slow)
    assert catalog.item(COLLECTION, "a") is None
    live.release(slow)
    with pytest.raises(KeyInUse, match="worked on"):
        live.claim(claim("third"))
    done(live, write_of("a"), claim=quick)
    with pytest.raises(KeyReused):
        live.claim(claim("other", "e" * 64))
