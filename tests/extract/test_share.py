import pytest

from pcan_extract.share import Share, jobs_of
from pcan_pose.errors import ConfigError


def test_every_shard_has_one_job():
    shares = [Share.parse(f"{job}/3") for job in (1, 2, 3)]
    for shard in range(10):
        assert sum(share.owns(shard) for share in shares) == 1
    assert [shares[1].owns(shard) for shard in range(4)] == [False, True, False, False]
    assert (str(shares[1]), shares[1].suffix) == ("2/3", ".2-of-3")


def test_a_single_job_makes_everything():
    share = Share.parse("1/1")
    assert share == Share() and share.whole and share.suffix == "" and all(map(share.owns, range(5)))


@pytest.mark.parametrize(("suffix", "jobs"), [("", 1), (".2-of-3", 3), (".plan", None), ("-of-mine", None)])
def test_suffix_tells_the_jobs(suffix, jobs):
    assert jobs_of(suffix) == jobs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("3", "shard '3': expected this job and the number of jobs, as in 1/8."),
        ("a/b", "shard 'a/b': expected this job and the number of jobs, as in 1/8."),
        ("0/3", "shard 0/3: the first number must be 1 to 3."),
        ("4/3", "shard 4/3: the first number must be 1 to 3."),
        ("1/0", "shard 1/0: the first number must be 1 to 1."),
    ],
)
def test_wrong_share(text, fault):
    with pytest.raises(ConfigError) as caught:
        Share.parse(text)
    assert str(caught.value) == fault
