"""Training: our own loop, from one process to many, resumed to the bit.

An epoch's order, crops, augmentations and dropout follow from the seed and the epoch's number alone, so a run that is
resumed after epoch e goes on as if it had never stopped, and several processes draw the same global batch.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR

from pcan_pose.config import RunConfig
from pcan_pose.data.source import ClipSource
from pcan_pose.engine.averaging import Average
from pcan_pose.engine.branches import start_from_runs
from pcan_pose.engine.checkpoint import fingerprint, save_checkpoint
from pcan_pose.engine.clip_keys import check_same_clips, clip_keys
from pcan_pose.engine.distributed import Processes, gather, processes
from pcan_pose.engine.global_batch_norm import use_global_batch_norm
from pcan_pose.engine.inference import score_clips
from pcan_pose.engine.network import build_network, with_precision
from pcan_pose.engine.optimizer import build_optimizer
from pcan_pose.engine.run_folder import RunFolder, check_start
from pcan_pose.engine.sources import TrainingData, load_data
from pcan_pose.errors import CheckpointError, DataError
from pcan_pose.metrics import evaluate
from pcan_pose.models.build import describe_rgb
from pcan_pose.models.precision import prefers_bfloat16
from pcan_pose.models.recognizer import Recognizer, TrainingStep
from pcan_pose.taxonomy import Taxonomy

log = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, float]], None]


def train(config: RunConfig, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Train a run and return its folder.

    Args:
        config: The run.
        resume: Whether to go on from the folder's last checkpoint; without one the run starts from the beginning.
        progress: Called after every epoch with the epoch, the number of epochs and the epoch's mean losses.

    Raises:
        PcanError: If data, configuration or run folder cannot be used; nothing is written then.
    """
    with processes(config.train.device) as mine:
        if config.train.threads is not None:
            torch.set_num_threads(config.train.threads)
        folder = RunFolder(config.folder)
        # One process looks, and all hear of it, before the long work of loading.
        going_on, precision = mine.ask_first(lambda: check_start(config, mine.device, resume=resume))
        config = config.computing_in(precision)  # the run folder records it
        data = load_data(config, mine.device)
        mine.rows(config.train.batch_size)
        trainer = Trainer(config, data, mine, folder)
        # A checkpoint appears only after all processes have trained, so all find the same here.
        if not folder.checkpoint.is_file():
            start_from_runs(trainer.recognizer, config.encoder, data.taxonomy)
        if mine.is_first and not going_on:
            folder.create(config)
        trainer.run(progress)
        return folder.path


class Trainer:
    """One run: network, optimiser, schedule, averaged weights, and the loop over epochs.

    Args:
        config: The run.
        data: What to train on.
        mine: This process among all.
        folder: Where to write; None writes nothing.
    """

    def __init__(
        self, config: RunConfig, data: TrainingData[ClipSource], mine: Processes, folder: RunFolder | None
    ) -> None:
        config = with_precision(config, mine.device)
        self.config, self.data, self.mine, self.folder = config, data, mine, folder
        self._start = None if folder is None else folder.state()
        torch.manual_seed(config.seed)
        self.recognizer = build_network(
            config,
            data.taxonomy,
            layout=data.header.layout,
            dims=data.header.dims,
            action_counts=data.action_counts,
            trained=None if self._start is None else self._start.get("rgb"),
        ).to(mine.device)
        self.averaged = Average(self.recognizer, config.train.ema) if config.train.ema else None
        if mine.size > 1:
            use_global_batch_norm(self.recognizer)
        for reason, idle in config.without_effect.items():
            log.warning("%s: of no effect, as %s.", ", ".join(idle), reason)
        if config.train.precision == "bf16" and not prefers_bfloat16(mine.device.type):
            log.warning(
                "train.precision=bf16 is slow here, as this %s has no fast units for it; auto takes fp32 instead.",
                {"cpu": "processor", "cuda": "GPU"}[mine.device.type],
            )
        if mode := config.train.compile:
            if mode == "reduce-overhead" and mine.device.type != "cuda":
                log.warning("train.compile=reduce-overhead replays a GPU's kernels; on this device it only compiles.")
            self.recognizer.encoder.compile(mode=None if mode is True else mode)
        self._forward = TrainingStep(self.recognizer, gather if mine.size > 1 else None)
        step: nn.Module = self._forward
        if mine.size > 1:
            # Every process computes the same buffers. torch renamed the switch; its old name warns.
            known = signature(DistributedDataParallel).parameters
            switch = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
            options: dict[str, Any] = {switch: False}
            step = DistributedDataParallel(step, **options)
        self.step = step
        self.steps_per_epoch = config.train.steps_per_epoch(len(data.train))
        self.optimizer = build_optimizer(self.recognizer, config.optim, fused=mine.device.type == "cuda")
        warmup = config.optim.warmup_epochs * self.steps_per_epoch
        total = config.train.epochs * self.steps_per_epoch
        if warmup > total:
            log.warning(
                "the rate rises for %g epochs and never reaches optim.lr in %d; lower optim.warmup_epochs.",
                config.optim.warmup_epochs,
                config.train.epochs,
            )
        self.schedule = LambdaLR(self.optimizer, lambda step: _rate(step, warmup, total))
        self.epoch = 0
        self.clips = clip_keys(data.train.clip_ids)

    @property
    def result(self) -> Recognizer:
        """The network that is tested and saved: averaged weights if the run has them."""
        return self.recognizer if self.averaged is None else self.averaged.network

    def run(self, progress: Progress | None = None) -> None:
        """Train to the last epoch, from the folder's checkpoint if there is one."""
        train = self.config.train
        if self.folder is not None:
            self._check_same_for_all(self.folder.checkpoint)
        if self._start is not None:
            self.load(self._start)
            self._start = None
        writes = self.folder is not None and self.mine.is_first
        if writes and self.folder is not None:
            self.folder.record(self.config)
            self.folder.start(self.epoch)
        try:
            while self.epoch < train.epochs:
                started = time.perf_counter()
                losses = self.train_epoch()
                self.epoch += 1
                last = self.epoch == train.epochs
                losses |= {"lr": float(self.schedule.get_last_lr()[0]), "seconds": time.perf_counter() - started}
                val = self.data.val if last or self.epoch % train.val_every == 0 else None
                measured = None if val is None else self.measure(val)
                if progress is not None and self.mine.is_first:
                    progress(self.epoch, train.epochs, losses)
                if writes and self.folder is not None:
                    self.folder.log(self.epoch, "train", losses)
                    if measured is not None:
                        self.folder.log(self.epoch, self.config.data.val_split or "val", measured)
                    if last or self.epoch % train.save_every == 0:
                        save_checkpoint(self.folder.checkpoint, self.state())
        finally:
            if writes and self.folder is not None:
                self.folder.close()

    def _check_same_for_all(self, checkpoint: Path) -> None:
        """Check that all processes find the same checkpoint, or none of them.

        Raises:
            CheckpointError: If they do not, for example because each machine has a disk of its own.
        """
        if self.mine.size > 1 and not self.mine.agree(fingerprint(checkpoint)):
            raise CheckpointError(
                f"{checkpoint}: the processes do not all find the same checkpoint there; keep the run folder on a disk "
                "that all machines share ('output'), or copy it to each of them."
            )

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        config, data, device = self.config, self.data.train, self.mine.device
        batch = config.train.batch_size
        rows = self.mine.rows(batch)
        # An epoch's dropout, order and augmentations follow from one seed. Each process draws the encoder's dropout for
        # its own clips; the head sees the global batch, so all draw the same there.
        seed = epoch_seed(config.seed, self.epoch)
        torch.manual_seed(epoch_seed(config.seed, self.epoch, self.mine.rank))
        self._forward.generator = torch.Generator(device).manual_seed(seed)
        generator = torch.Generator(device).manual_seed(seed)
        order = torch.cat(
            [torch.randperm(len(data), generator=generator, device=device) for _ in range(config.train.repeats)]
        )
        self.step.train()
        sums: defaultdict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))
        batches = torch.split(order, batch)[: self.steps_per_epoch]
        for clips, inputs in zip(batches, data.training_batches(batches, rows, generator), strict=True):
            losses: dict[str, Tensor] = self.step(*inputs, actions=data.labels[clips])
            self.optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()  # type: ignore[no-untyped-call]
            if config.optim.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.recognizer.parameters(), config.optim.clip_norm)
            self.optimizer.step()
            self.schedule.step()
            if self.averaged is not None:
                self.averaged.update(self.recognizer)
            for name, loss in losses.items():
                sums[name] += loss.detach()
        totals = torch.stack(list(sums.values())).tolist()  # one wait for the device
        means = {name: total / self.steps_per_epoch for name, total in zip(sums, totals, strict=True)}
        if not math.isfinite(means["loss"]):
            raise DataError(
                f"epoch {self.epoch + 1}: the loss is {means['loss']}; lower optim.lr, set optim.clip_norm, and look "
                "for non-finite keypoints with 'pcan-pose data validate'."
            )
        return means

    def measure(self, clips: ClipSource) -> dict[str, float | None]:
        """Return the metrics of clips with the current result; unlabelled clips are left out.

        All processes score a share of them.
        """
        scores = score_clips(self.result, clips, self.data.taxonomy, model=self.config.name, processes=self.mine)
        metrics = evaluate(
            scores.action_logits, scores.body_logits, scores.labels, scores.taxonomy, drop_unlabelled=True
        )
        return metrics.summary()

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint holds."""
        return {
            "epoch": self.epoch,
            "taxonomy": self.data.taxonomy.to_json(),
            "layout": self.data.header.layout,
            "dims": self.data.header.dims,
            "rgb": describe_rgb(self.result),
            "clips": self.clips,
            "model": self.result.state_dict(),
            "training_model": self.recognizer.state_dict(),
            "averaged_updates": 0 if self.averaged is None else self.averaged.updates,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load(self, state: dict[str, object]) -> None:
        """Continue from a checkpoint's content.

        Raises:
            CheckpointError: If the checkpoint is of another network, taxonomy or training clips.
        """
        if Taxonomy.from_json(str(state["taxonomy"])) != self.data.taxonomy:
            raise CheckpointError(
                "the checkpoint was trained with another taxonomy than the set has; use the same set."
            )
        if "clips" in state:
            check_same_clips(state["clips"], self.clips)  # type: ignore[arg-type]
        try:
            self.recognizer.load_state_dict(state["training_model"])  # type: ignore[arg-type]
            if self.averaged is not None:
                self.averaged.network.load_state_dict(state["model"])  # type: ignore[arg-type]
                self.averaged.updates = int(state["averaged_updates"])  # type: ignore[call-overload]
            self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
            self.schedule.load_state_dict(state["schedule"])  # type: ignore[arg-type]
        except KeyError as error:
            raise CheckpointError(
                f"the checkpoint has no {error}: another version of pcan-pose wrote it; 'test' still reads it, but to "
                "go on needs that version."
            ) from error
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint does not fit the configuration: {str(error).splitlines()[0]}"
            ) from error
        self.epoch = int(state["epoch"])  # type: ignore[call-overload]


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Return the seed of an epoch, in each process another.

    Processes differ in the low 32 bits, as a CPU's generator sees no others.
    """
    return seed * 100_003 + epoch + rank * 0x9E3779B1


def _rate(step: int, warmup: float, total: int) -> float:
    """Return the share of the highest learning rate: a linear rise, then a half cosine to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min((step - warmup) / max(total - warmup, 1), 1)))
