"""Ray's actors in the place of the pool's processes; Ray takes seconds to start, so one start serves many tests."""

import builtins
import importlib.util
import json
import os
import pickle
import shutil
import signal
import sys
from pathlib import Path

import pytest
from extractions import parts
from fake_backends import FakeBackend
from processes import command, running, start, wait_for

import pcan_extract.pipeline as pipeline
from pcan_extract import ray_session, ray_workers
from pcan_extract.pool import WorkerDied
from pcan_extract.ray_workers import RayWorkers
from pcan_pose.errors import ExtractionError, MissingDependencyError

INSTALLED = all(importlib.util.find_spec(name) is not None for name in ("ray", "pandas"))


def needs_ray(test):
    test = pytest.mark.skipif(not INSTALLED, reason="needs Ray Data: pip install 'pcan-pose[ray]'")(test)
    # Ray warns of what it does itself.
    test = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")(test)
    return pytest.mark.ray(pytest.mark.slow(test))


def start_actor(folder: str) -> None:
    global FOLDER
    FOLDER = Path(folder)
    if FOLDER.name == "closed":
        os._exit(1)


def work(number: int) -> tuple[int, str]:
    """Answer with what is asked and where; negative numbers misbehave."""
    if number < 0:
        tries = FOLDER / f"tries{number}"
        with tries.open("a") as file:
            file.write("x")
        if number == -9:
            raise ValueError("a surprise")
        if number == -2 or len(tries.read_text()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return number, str(Path.cwd())


def test_missing_ray_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"^engine 'ray' needs Ray Data: pip install 'pcan-pose\[ray\]'$"):
        RayWorkers(work, 1, start_actor, ("",))


def test_chunks_bound_the_memory(monkeypatch):
    monkeypatch.setattr(ray_workers, "_CHUNK_BYTES", 100)
    assert [len(chunk) for chunk in ray_workers._chunks(["x" * 40] * 5)] == [2, 2, 1]
    assert list(ray_workers._chunks([])) == []


def test_file_that_shows_late_is_waited_for(monkeypatch, tmp_path):
    listed = []
    late = tmp_path / "late"
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or late.touch() or [])
    ray_workers._wait_for(late)
    assert listed == [tmp_path]
    monkeypatch.setattr(ray_workers, "_PATIENCE", 0)
    with pytest.raises(
        ExtractionError, match="none: a Ray worker has written this file, but it is not on this machine"
    ):
        ray_workers._wait_for(tmp_path / "none")


@pytest.fixture(scope="module")
def cluster():
    """Start Ray once, as a program that uses Ray itself does."""
    import ray

    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (*ray_session.QUIET.items(), ("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))):
            patch.setenv(name, value)
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=128 * 1024**2)
        yield ray
        ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@needs_ray
class TestOnOneCluster:
    def test_tasks_are_run_here_and_in_any_number(self, cluster, tmp_path):
        workers = RayWorkers(work, 2, start_actor, (str(tmp_path),))
        assert list(workers.run([])) == []
        results = list(workers.run(iter(range(6))))
        assert sorted(results) == [(i, (i, str(Path.cwd()))) for i in range(6)]

    def test_second_death_gives_a_task_up(self, cluster, tmp_path):
        # -1 dies once, -2 always.
        own_print = print
        results = dict(RayWorkers(work, 2, start_actor, (str(tmp_path),)).run([0, -1, -2, 3, 4]))
        assert {task: type(result) for task, result in results.items()} == {
            **dict.fromkeys([0, -1, 3, 4], tuple),
            -2: WorkerDied,
        }
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"tries-1": "xx", "tries-2": "xx"}
        assert builtins.print is own_print

    def test_task_that_has_ended_is_not_run_again(self, cluster, tmp_path):
        # Ray does so when the actor dies just after it; whatever the second run writes, nobody would wait for.
        ledger = cluster.remote(ray_workers._Ledger).options(num_cpus=0).remote(1)
        start = cluster.cloudpickle.dumps((work, start_actor, (str(tmp_path),)))
        actor = ray_workers._Actor(start, str(Path.cwd()), ledger)
        (tmp_path / "tries-1").write_text("x")
        first, second = (actor({"number": 0, "task": pickle.dumps(-1)}) for _ in range(2))
        assert first == second
        assert pickle.loads(second["result"]) == (-1, str(Path.cwd()))
        assert (tmp_path / "tries-1").read_text() == "xx"

    def test_chunks_follow_each_other(self, cluster, tmp_path, monkeypatch):
        monkeypatch.setattr(ray_workers, "_CHUNK_BYTES", 1)
        results = list(RayWorkers(work, 1, start_actor, (str(tmp_path),)).run([7, 8]))
        assert [task for task, _ in results] == [7, 8]

    def test_error_of_the_function_ends_the_run(self, cluster, tmp_path):
        with pytest.raises(ValueError, match="^a surprise$"):
            list(RayWorkers(work, 1, start_actor, (str(tmp_path),)).run([1, -9, 2]))
        assert cluster.is_initialized()

    def test_actors_that_never_start(self, cluster, tmp_path):
        text = (
            "engine 'ray' cannot go on: RuntimeError: actors die before they get any work; look for a limit on memory"
        )
        with pytest.raises(ExtractionError, match=text):
            list(RayWorkers(work, 1, start_actor, (str(tmp_path / "closed"),)).run([1]))

    def test_folder_that_is_not_shared(self, cluster, tmp_path, monkeypatch):
        monkeypatch.setattr(ray_workers, "_PATIENCE", 0.1)
        workers = RayWorkers(
            work, 1, start_actor, (str(tmp_path),), written=lambda task, result: [tmp_path / str(result[0])]
        )
        with pytest.raises(ExtractionError, match=r"0: a Ray worker has written this file, but"):
            list(workers.run([0, 1]))

    def test_same_bytes_as_the_pool(self, cluster, film, videos, tmp_path, monkeypatch, make_video):
        folder = shutil.copytree(videos, tmp_path / "videos")
        (folder / "first/0001.mp4").write_bytes(b"")
        make_video(folder / "first/0002a.mp4", film[:4, :, :100])
        backend = FakeBackend(crash_width=100)
        options = {"backend": backend, "workers": 2, "clips_per_shard": 3}
        pool = pipeline.extract([folder], tmp_path / "pool", **options)
        monkeypatch.chdir(tmp_path)
        summary = pipeline.extract([folder], "ray", engine="ray", overlay="drawn", **options)
        assert summary.failures == pool.failures
        assert [failure.clip_id for failure in summary.failures] == ["first/0001", "first/0002a"]
        assert parts(tmp_path / "ray") == parts(tmp_path / "pool")
        assert summary.overlays == 6

    def test_cluster_is_joined_and_left(self, cluster, videos, tmp_path):
        address = cluster.get_runtime_context().gcs_address
        arguments = (videos, "--out", tmp_path / "set", "--engine", "ray", "--address", address)
        process = start(command(tmp_path, "{}", *arguments))
        printed, told = process.communicate(timeout=250)
        assert process.returncode == 0, told
        assert "7 clips (7 new)" in printed + told
        assert cluster.cluster_resources()["CPU"] == 2


@needs_ray
def test_nobody_at_the_address():
    for address, text in (("127.0.0.1:1", "no Ray at 127.0.0.1:1 ("), ("nonsense", "no Ray at nonsense (")):
        with pytest.raises(ExtractionError) as caught:
            list(RayWorkers(work, 1, start_actor, ("",), address=address).run([1]))
        assert text in str(caught.value)


@needs_ray
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("stop", "code"),
    [
        pytest.param(None, 0, id="worker-killed"),
        pytest.param(signal.SIGINT, 130, id="ctrl-c"),
        pytest.param(signal.SIGTERM, 143, id="terminated"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
    ],
)
def test_disturbed_run_arrives_at_the_same_bytes(stop, code, videos, tmp_path):
    options = {"backend": FakeBackend(), "workers": 1, "clips_per_shard": 3}
    pipeline.extract([videos], tmp_path / "undisturbed", **options)
    out, pids = tmp_path / "set", tmp_path / "pids"
    pids.mkdir()
    backend = json.dumps({"seconds_per_frame": 0.12, "pids": str(pids)})
    arguments = (videos, "--out", out, "--engine", "ray", "--workers", 2, "--clips-per-shard", 3)
    process = start(command(tmp_path, backend, *arguments))
    try:
        wait_for(lambda: list(out.glob(".staging/[!.]*.parquet")) or process.poll() is not None, 250)
        alive = [pid for pid in map(int, os.listdir(pids)) if running(pid)]
        if stop is None:
            os.kill(alive[0], signal.SIGKILL)
        else:
            process.send_signal(stop)
        printed, told = process.communicate(timeout=250)
    finally:
        process.kill()
    assert process.returncode == code, told
    if stop is None:
        assert "7 clips (7 new)" in printed + told and "raylet" not in printed + told
        # One actor more than there were at a time.
        assert len(os.listdir(pids)) == 3
    else:
        wait_for(lambda: not any(running(int(path.name)) for path in pids.iterdir()))
        assert 0 < pipeline.extract([videos], out, **options).extracted < 7
    assert parts(out) == parts(tmp_path / "undisturbed")
    assert not list(out.glob(".*"))
