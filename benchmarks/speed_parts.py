"""What stands beside the encoder: the loader, and the losses of the head.

Shapes: N clips, F features, K_b body parts, K_a actions, V joints.
"""

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed_machine import Options, limits
from benchmarks.speed_networks import BASELINE, DIMS, LAYOUT, Batch, config_of, forward, left_out, network, precisions
from benchmarks.speed_timing import Figure, Task, Work, take_turns
from pcan_pose.data.memory_dataset import PoseDataset
from pcan_pose.data.pose_source import PoseSource
from pcan_pose.data.transforms import even_positions
from pcan_pose.keypoints import Clip, Header, KeypointSet
from pcan_pose.losses import tree_loss
from pcan_pose.models.recognizer import Recognizer, TrainingStep
from pcan_pose.skeleton import skeleton
from pcan_pose.taxonomy import MA52

REFERENCE = ("baseline",)


def reference(options: Options, threads: int) -> Task:
    """Return the forward pass of the baseline encoder that other figures are compared with."""
    clips, frames = options.reference
    recognizer = network(BASELINE, "fp32", options.device)
    return Task(REFERENCE, forward(recognizer, Batch.random(clips, frames, options.device)), threads)


def loader(options: Options) -> tuple[list[Figure], list[str]]:
    """Return clips a CPU second of the loader, one thread: the gather, the streams, and a training batch."""
    data = config_of("pose").data
    batch = 8 if options.quick else 64
    frames = 8 if options.quick else 64
    data = data.model_copy(update={"frames": frames})
    clips_there = random_set(32 if options.quick else 2000)
    dataset = PoseDataset.from_set(clips_there, data, options.device)
    source = PoseSource(dataset, data)
    # Batches of an epoch take the clips in no order.
    clips = torch.randperm(len(source), device=options.device)[:batch]
    generator = torch.Generator(options.device).manual_seed(0)

    def gather() -> object:
        return dataset.sample(clips, even_positions(batch, frames, options.device))

    def four_streams() -> object:
        return next(source.scoring_batches([clips], 0))

    def training_batch() -> object:
        return next(source.training_batches([clips], slice(None), generator))

    works: dict[str, Work] = {
        "gather alone": gather,
        "gather and four streams": four_streams,
        "training batch, augmented": training_batch,
    }
    tasks = [reference(options, 1), *(Task((name,), work) for name, work in works.items())]
    timings = take_turns(tasks, rounds=options.rounds, min_seconds=options.turn)
    joints = skeleton(LAYOUT).num_joints
    # Each number of the sampled clips and of what is made of them is read once and written once.
    sampled = frames * joints * (DIMS + 1)
    moved = {"gather alone": 2 * sampled}
    most = limits(options, 1)
    figures = []
    for name in works:
        seconds = timings.seconds((name,))
        made = moved.get(name, 2 * frames * joints * (4 * DIMS + 1))
        share = 4 * made * batch / seconds / 1e9 / most.copy
        ratio, ratios = timings.ratio(REFERENCE, (name,)), timings.ratios(REFERENCE, (name,))
        figures.append(
            Figure(name, "", batch / seconds, "clips/s", "", batch, frames, ratio, None, share, ratios=ratios)
        )
    return figures, []


def random_set(clips: int, frames: int = 60) -> KeypointSet:
    """Return clips of random keypoints, two seconds each."""
    random = np.random.default_rng(0)
    joints = skeleton(LAYOUT).num_joints

    def clip(i: int) -> Clip:
        keypoints = random.uniform(0, 1000, (1, frames, joints, DIMS)).astype(np.float32)
        scores = random.uniform(0.1, 1, (1, frames, joints)).astype(np.float32)
        return Clip(clip_id=str(i), keypoints=keypoints, scores=scores, width=1000, height=1000, label=i % 52)

    return KeypointSet.from_clips(Header(LAYOUT, DIMS, "random", MA52), (clip(i) for i in range(clips)))


def looped_tree_loss(body_logits: Tensor, action_logits: Tensor, actions: Tensor, parents: Tensor) -> Tensor:
    """Return what `tree_loss` does, (N,), state by state as the formula is written; all clips at once.

    Args:
        body_logits: (N, K_b).
        action_logits: (N, K_a).
        actions: int64 (N,).
        parents: int64 (K_a,).
    """
    body, action = body_logits.sigmoid(), action_logits.sigmoid()
    total = torch.zeros_like(body[:, 0])  # (N,)
    for part in range(body.shape[1]):
        total = total + body[:, part].exp()
    for state, part in enumerate(parents.tolist()):
        total = total + (body[:, part] + action[:, state]).exp()
    own = body.gather(1, parents[actions][:, None]) + action.gather(1, actions[:, None])  # (N, 1)
    return total.log() - own[:, 0]


def losses(options: Options) -> tuple[list[Figure], list[str]]:
    """Return the time of the tree loss, whole and looped, and the head's share of a training step."""
    clips, frames = (2, 8) if options.quick else (64, 64)
    device = options.device
    batch = Batch.random(clips, frames, device)
    parents = torch.from_numpy(MA52.parent_array).to(device)
    body = torch.randn(clips, MA52.num_body_parts, device=device, requires_grad=True)
    action = torch.randn(clips, MA52.num_actions, device=device, requires_grad=True)

    def backward(loss: Tensor) -> None:
        body.grad = action.grad = None
        loss.mean().backward()  # type: ignore[no-untyped-call]

    tasks = [
        reference(options, options.threads),
        Task(("tree",), lambda: backward(tree_loss(body, action, batch.actions, parents)), options.threads),
        Task(("looped",), lambda: backward(looped_tree_loss(body, action, batch.actions, parents)), options.threads),
    ]
    for precision in precisions(options):
        head, step = _head_and_step(network("pose", precision, device), batch)
        tasks += [Task(("head", precision), head, options.threads), Task(("step", precision), step, options.threads)]
    timings = take_turns(tasks, rounds=options.rounds, min_seconds=options.turn)
    gain = timings.ratio(("looped",), ("tree",))
    figures = [
        Figure(
            "tree loss, forward and backward",
            "",
            timings.seconds(("tree",)) * 1e6,
            "µs",
            clips=clips,
            ratio=timings.ratio(REFERENCE, ("tree",)),
            ratios=timings.ratios(REFERENCE, ("tree",)),
            details={"looped_microseconds": timings.seconds(("looped",)) * 1e6, "times_the_looped_form": gain},
        ),
        Figure("tree loss, looped form over it", "", gain, "x", clips=clips),
    ]
    for precision in precisions(options):
        name = ("head", precision)
        share = 1 / timings.ratio(("step", precision), name)
        ratio, ratios = timings.ratio(REFERENCE, name), timings.ratios(REFERENCE, name)
        title = "head's share of a training step of pose"
        figures.append(Figure(title, "", 100 * share, "%", precision, clips, frames, ratio, ratios=ratios))
    return figures, left_out(options)


def _head_and_step(recognizer: Recognizer, batch: Batch) -> tuple[Work, Work]:
    """Return the head's losses, forward and backward, and those of the whole network around them."""
    recognizer.train()
    training_step = TrainingStep(recognizer)
    with torch.no_grad():
        features = recognizer.encode(batch.x, batch.found)  # (N, F)
    features.requires_grad_()

    def head() -> None:
        recognizer.head.losses(features, batch.actions)["loss"].backward()  # type: ignore[no-untyped-call]
        recognizer.zero_grad(set_to_none=True)
        features.grad = None

    def step() -> None:
        training_step(batch.x, batch.found, actions=batch.actions)["loss"].backward()
        recognizer.zero_grad(set_to_none=True)

    return head, step
