"""NW-UCLA: the shipped configurations, plain cross-entropy, one stream alone, and three encoders of the field.

    pcan-pose data import nwucla_xview.pkl --out data/nwucla
    python -m benchmarks.nwucla --data data/nwucla

Trains configs/nwucla_small.yaml, nwucla.yaml for the committee, and nwucla_joints.yaml for two refined encoders on
joints, once for each row, protocol and seed, on a CPU or a GPU. Resumes where it was stopped, writes every number as
JSON, keeps every entry's scores, and prints the table. The protocols: views 1 and 2 to view 3, measured on all
464 takes and on the 369 that have no twin in training; and leak-free, trained without those twins and measured on all
464.

Rows of one stream and of other encoders that are trained apart have the same head, recipe and number of passes as
"pose", so that nothing but the encoder and its input differs; they are not the published recipes of those networks. A
committee's parts are the votes of its members on joints, or on bones. "refined, joints + bones" is the mean of the
logits of two runs, three networks, in which bones weigh as much as joints; with motion it is that of three runs. There
is no validation split: the last epoch's averaged weights are measured.
"""

from pathlib import Path

from benchmarks.command_line import main, parser
from benchmarks.head_rows import OFF
from benchmarks.rows import Benchmark, Column, Protocol, Row

HEADLINE_SEEDS = 5
WORK = "runs/benchmark_nwucla"
"""Not where `pcan-pose train` puts a run of one of the configurations."""
JOINT = "data.streams=[joint]"
LEAK_FREE = "leak_free"
EVERY_FRAME = "encoder.stem_stride=1"
OWN_PACE = (
    "encoder={type: refined}",
    "data.frames=36",
    "data.short_clips=pad",
    "data.augment.rotation=[15, 60, 0]",
    "data.augment.tempo=0.42",
    "data.augment.flip=0.5",
    "data.augment.bone_noise=0.12",
)
"""The second network of configs/nwucla_joints.yaml, alone."""
CTR_GCN = "encoder={type: ctr-gcn}"
ROWS = (
    Row("committee", seeds=HEADLINE_SEEDS, config="nwucla"),
    Row("committee, its joints alone", seeds=HEADLINE_SEEDS, trained_as="committee", members=(1,)),
    Row("committee, its bones alone", seeds=HEADLINE_SEEDS, trained_as="committee", members=(2,)),
    Row("refined, joints", seeds=HEADLINE_SEEDS, config="nwucla_joints"),
    Row("refined, joints, turned alone", seeds=HEADLINE_SEEDS, trained_as="refined, joints", members=(1,)),
    Row("refined, joints, own pace alone", seeds=HEADLINE_SEEDS, trained_as="refined, joints", members=(2,)),
    Row("refined, bones", ("data.streams=[bone]", *OWN_PACE), seeds=HEADLINE_SEEDS),
    Row("refined, joint motion", ("data.streams=[joint_motion]", *OWN_PACE), seeds=HEADLINE_SEEDS),
    Row("refined, joints + bones", seeds=HEADLINE_SEEDS, fused=("refined, joints", "refined, bones")),
    Row(
        "refined, joints + bones + motion",
        seeds=HEADLINE_SEEDS,
        fused=("refined, joints", "refined, bones", "refined, joint motion"),
    ),
    Row("committee, plain cross-entropy", OFF, config="nwucla"),
    Row("pose", seeds=HEADLINE_SEEDS),
    Row("pose, plain cross-entropy", OFF, seeds=HEADLINE_SEEDS),
    Row("pose, joint only", (JOINT,)),
    Row("pose, joint only, every frame", (JOINT, EVERY_FRAME), seeds=HEADLINE_SEEDS),
    Row("ST-GCN++, joint only", (JOINT, "encoder={type: stgcn++}")),
    Row("CTR-GCN, joint only", (JOINT, CTR_GCN)),
    Row("CTR-GCN, joint only, 28 frames", (JOINT, CTR_GCN, "data.frames=28"), seeds=HEADLINE_SEEDS),
    Row("ST-GCN, joint only", (JOINT, "encoder={type: st-gcn}")),
)
PROTOCOLS = (
    Protocol({"": "xview_test", "clean_": "xview_test_clean"}),
    Protocol({"": "xview_test"}, LEAK_FREE, ("data.train_split=xview_train_clean",)),
)
COLUMNS = (
    Column("top-1, all 464", "action_top1"),
    Column("top-1, clean 369", "clean_action_top1"),
    Column("top-1, leak-free", "action_top1", LEAK_FREE),
    Column("macro F1", "action_f1_macro"),
    Column("group top-1", "body_top1"),
    Column("F1 mean", "f1_mean"),
    Column("parameters (M)", "parameters", scale=1e-6, digits=2, spread=False),
    Column("GFLOPs", "gflops", scale=1, digits=2, spread=False),
    Column("training (min)", "seconds", scale=1 / 60),
)


def benchmark(data: Path) -> Benchmark:
    """Return the table on a keypoint set, the same for every seed."""
    return Benchmark("nwucla", "nwucla_small", ROWS, COLUMNS, lambda seed: data, PROTOCOLS, keeps_scores=True)


if __name__ == "__main__":
    options = parser(__doc__, out="benchmarks/results/nwucla.json", work=WORK)
    options.add_argument(
        "--data", type=Path, default=Path("data/nwucla"), help="the imported set; default: %(default)s"
    )
    given = options.parse_args()
    main(benchmark(given.data), given)
