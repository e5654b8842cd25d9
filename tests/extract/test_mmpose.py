"""The real MMPose with networks of its own configurations, their weights random, on a real film."""

import importlib.util
import os
import pickle
import warnings

import numpy as np
import pytest

from pcan_extract.backends import BackendOptions, create_backend
from pcan_extract.backends.mmpose import check
from pcan_extract.backends.mmpose_configs import config_folder, find_config, published_weights, read_config
from pcan_extract.backends.mmpose_layouts import find_layout
from pcan_extract.backends.mmpose_network import in_half_precision
from pcan_extract.backends.mmpose_stubs import import_mmpose
from pcan_extract.decoding import DecodeAhead
from pcan_extract.estimation import estimate_each
from pcan_extract.pipeline import extract
from pcan_extract.video import VideoReader
from pcan_pose.errors import ConfigError
from pcan_pose.keypoints import read_set
from pcan_pose.skeleton import SKELETONS, skeleton

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.mmpose,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("mmpose", "mmengine", "mmcv")),
        reason="needs MMPose: make test-mmpose",
    ),
    # Of MMPose's dependencies.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

BODY = "rtmpose-m_8xb256-420e_coco-256x192"
WHOLE_BODY = "rtmw-m_8xb1024-270e_cocktail14-256x192"


@pytest.fixture(scope="module")
def checkpoints(film, tmp_path_factory):
    """Return a function from a model's name to a file of random weights of its own, made once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(name):
        path = folder / f"{name}.pth"
        if not path.exists():
            _save_random_weights(name, path, film)
        return str(path)

    return make


def _save_random_weights(name, path, film):
    """Return nothing; save weights whose answers change with the picture and whose scores lie on both sides of 1."""
    import_mmpose()
    from mmpose.apis import init_model

    torch.manual_seed(0)
    model = init_model(read_config(find_config(name)), None, device="cpu")
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        # Statistics of the film, not 0 and 1, so that pictures make a difference and folding them shows.
        layer.momentum = None
        layer.train()
    width, height = model.cfg.codec.input_size
    hidden = []
    hook = model.head.cls_x.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0]))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pictures = torch.from_numpy(film[::12]).permute(0, 3, 1, 2).float() / 64 - 2  # (N, 3, H, W)
        model.head.forward(model.extract_feat(torch.nn.functional.interpolate(pictures, (height, width))))
        hook.remove()
        for layer in layers:
            # A channel that hardly varies would make noise of rounding.
            layer.running_var.clamp_(min=float(layer.running_var.mean()))
        # What all pictures have in common would decide where the joints are.
        common = torch.nn.functional.normalize(hidden[0].mean((0, 1)), dim=0)  # (C,)
        for layer in (model.head.cls_x, model.head.cls_y):
            weight = torch.randn_like(layer.weight)  # (L, C)
            weight -= (weight @ common)[:, None] * common
            layer.weight.copy_(weight / (2 * (hidden[0] @ weight.T).std()))
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": model.dataset_meta}}, path)


def _options(name, checkpoint, **others):
    return BackendOptions(model=name, checkpoint=checkpoint, device="cpu", **others)


def _frame_by_frame(name, checkpoint, frames, boxes=None):
    """Return what MMPose's own interface answers, (T, P, V, 2) and (T, P, V)."""
    from mmpose.apis import inference_topdown, init_model

    model = init_model(str(find_config(name)), checkpoint, device="cpu")
    found = [
        [each.pred_instances for each in inference_topdown(model, frame[..., ::-1].copy(), boxes)] for frame in frames
    ]
    keypoints = [np.concatenate([each.keypoints for each in people]) for people in found]
    return np.array(keypoints), np.array(
        [np.concatenate([each.keypoint_scores for each in people]) for people in found]
    )


@pytest.mark.parametrize(
    ("name", "layout", "frames", "ties"), [(BODY, "coco17", 6, 0), (WHOLE_BODY, "coco_wholebody133", 3, 0.01)]
)
def test_batches_equal_mmpose_frame_by_frame(checkpoints, film, name, layout, frames, ties):
    pictures = list(film[: 8 * frames : 8])
    options = _options(name, checkpoints(name), batch_size=4)
    with pickle.loads(pickle.dumps(create_backend("mmpose", options))) as backend:
        answers = backend.find_joints(pictures, backend.find_people(pictures))
    assert backend.layout == layout
    keypoints, scores = (np.array(each) for each in zip(*answers, strict=True))  # (T, 1, V, 2), (T, 1, V)
    expected, expected_scores = _frame_by_frame(name, checkpoints(name), pictures)
    assert keypoints.dtype == scores.dtype == np.float32
    assert np.ptp(expected, axis=0).mean() > 1
    assert (scores == 1).any() and (scores < 1).any()
    np.testing.assert_allclose(scores, expected_scores.clip(0, 1), atol=1e-3)
    # Where the best two places of a joint are equal up to rounding, either is right; random weights bring that about.
    apart = abs(keypoints - expected).max(-1) > 1e-3
    assert apart.mean() <= ties


def test_people_in_boxes(checkpoints, film):
    boxes = np.array([[20, 10, 120, 140], [60, 30, 150, 90]], np.float32)
    with create_backend("mmpose", _options(BODY, checkpoints(BODY), batch_size=2)) as backend:
        first, nobody, second = backend.find_joints(
            list(film[[0, 10, 20]]), [boxes, np.zeros((0, 4), np.float32), boxes[:1]]
        )
    expected, _ = _frame_by_frame(BODY, checkpoints(BODY), film[[0, 20]], boxes)
    np.testing.assert_allclose(first[0], expected[0], atol=1e-3)
    assert nobody[0].shape == (0, 17, 2) and nobody[1].shape == (0, 17)
    np.testing.assert_allclose(second[0], expected[1, :1], atol=1e-3)


def test_batches_across_videos_equal_single_videos(checkpoints, film, make_video, tmp_path):
    paths = [make_video(tmp_path / f"{i}.mp4", film[10 * i : 10 * i + count]) for i, count in enumerate((2, 3, 1))]
    with create_backend("mmpose", _options(BODY, checkpoints(BODY), batch_size=4)) as backend:
        assert not backend.across_videos
        alone = [each.result for each in estimate_each(backend, map(DecodeAhead, paths))]
        sizes = []
        hook = backend._network.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        backend.across_videos = True
        together = [each.result for each in estimate_each(backend, map(DecodeAhead, paths))]
        hook.remove()
    # Two batches, the second filled up, each as it is and mirrored.
    assert sizes == [4] * 4
    for mine, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine.keypoints, other.keypoints, atol=1e-3)
        np.testing.assert_allclose(mine.scores, other.scores, atol=1e-3)


def test_pipeline_writes_openpose28(checkpoints, film, make_video, tmp_path):
    video = make_video(tmp_path / "videos/a.mp4", film[:5])
    backend = create_backend("mmpose", _options(WHOLE_BODY, checkpoints(WHOLE_BODY)))
    # Untrained, it also guesses outside the picture.
    summary = extract([video], tmp_path / "set", backend=backend, layout="openpose28", workers=1, min_score=0)
    assert not summary.failures and summary.frames == 5
    (clip,) = read_set(tmp_path / "set").clips()
    assert clip.keypoints.shape == (1, 5, 28, 2)
    with backend, VideoReader(video) as reader:
        alone = backend.estimate(iter(reader), reader.info)
    joints = SKELETONS["coco_wholebody133"].joints
    for joint in ("nose", "left_index_tip", "right_pinky_tip"):
        theirs = alone.keypoints[:, 0, joints.index(joint)]
        np.testing.assert_array_equal(clip.keypoints[0, :, SKELETONS["openpose28"].index(joint)], theirs)


def test_half_precision_keeps_the_joints_near(checkpoints, film):
    pictures = list(film[:2])
    with create_backend("mmpose", _options(BODY, checkpoints(BODY))) as backend:
        features = backend._network.extract_feat(torch.rand(1, 3, 256, 192))
        in_half_precision(backend._network, torch.bfloat16)
        half = backend._network.extract_feat(torch.rand(1, 3, 256, 192))
        assert [each.dtype for each in half] == [each.dtype for each in features] == [torch.float32]
        assert (half[0] == half[0].bfloat16()).all()
        keypoints, scores = backend.find_joints(pictures, backend.find_people(pictures))[0]
    assert np.isfinite(keypoints).all() and np.isfinite(scores).all()


def test_layouts_of_mmposes_own_data_sets():
    import_mmpose()
    from mmengine.config import Config
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    layouts = {}
    for path in sorted((config_folder() / "_base_/datasets").glob("*.py")):
        meta = parse_pose_metainfo(Config.fromfile(str(path)).dataset_info)
        layouts[path.stem] = find_layout(meta, path.stem)
    named = {name: layout for name, layout in layouts.items() if isinstance(layout, str)}
    assert named == {
        **dict.fromkeys(("coco", "humanart", "ochuman", "macaque"), "coco17"),
        **dict.fromkeys(("coco_wholebody", "h3wb", "ubody2d"), "coco_wholebody133"),
        "halpe26": "halpe26",
    }
    for layout in layouts.values():
        joints = skeleton(layout)
        assert len(joints.bones) == joints.num_joints - 1
        assert len({child for child, _ in joints.bones}) == joints.num_joints - 1
    assert len(layouts["halpe"].flip_pairs) == len(SKELETONS["halpe26"].flip_pairs) + 21 + 29
    assert layouts["mpii"].index("hip_centre") == 6


def test_models_by_name_and_by_short_name():
    assert find_config(BODY).stem == BODY
    assert find_config("human").stem == "rtmpose-m_8xb256-420e_body8-256x192"
    assert find_config("Body26").stem == "rtmpose-m_8xb512-700e_body8-halpe26-256x192"
    assert published_weights(find_config(BODY)).startswith("https://download.openmmlab.com/mmpose/v1/")
    with pytest.raises(ConfigError, match=f"Did you mean '{BODY}'"):
        find_config(BODY[:-1])
    with pytest.raises(ConfigError, match="Known short names: animal, body, "):
        find_config("zzzz")
    with pytest.raises(ConfigError, match="model 'gone.py': no such file"):
        find_config("gone.py")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "which network\\? Give an MMPose configuration"),
        ({"model": BODY}, f"model '{BODY}' needs its weights: .* publish it at https://download.openmmlab.com/.*pth"),
        ({"model": BODY, "checkpoint": "gone.pth"}, "checkpoint 'gone.pth': no such file"),
        ({"model": BODY, "checkpoint": __file__, "precision": "bf16", "device": "cpu"}, "precision 'bf16' needs a GPU"),
        ({"model": BODY, "checkpoint": __file__, "device": "tpu"}, "device 'tpu' is none of auto, cpu, cuda"),
        ({"model": "rtmo", "checkpoint": __file__}, "its model is a BottomupPoseEstimator; expected a Topdown"),
    ],
)
def test_wrong_options_are_named(options, fault):
    with pytest.raises(ConfigError, match=fault):
        create_backend("mmpose", BackendOptions(**options))


def test_configuration_of_ones_own(checkpoints, tmp_path):
    config = tmp_path / "mine.py"
    config.write_text(f"_base_ = [{str(find_config(BODY))!r}]\nmodel = dict(head=dict(out_channels=3))\n")
    (fault,) = check(_options(str(config), checkpoints(BODY)))
    assert "not of this configuration: size mismatch for head.final_layer.weight" in fault
    config.write_text("model = dict(\n")
    (fault,) = check(_options(str(config), checkpoints(BODY)))
    assert fault.startswith(f"{config}: not a readable MMPose configuration (SyntaxError: ")
    config.write_text("model = dict(type='TopdownPoseEstimator')\n")
    assert "no test_dataloader.dataset.pipeline" in check(_options(str(config), checkpoints(BODY)))[0]
    config.write_text(
        "model = dict(type='TopdownPoseEstimator')\ntest_dataloader = dict(dataset=dict(pipeline=[], "
        "metainfo=dict(from_file='gone.py')))\n"
    )
    assert "says nothing of its joints (FileNotFoundError: " in check(_options(str(config), checkpoints(BODY)))[0]


def test_checkpoint_of_other_joints_is_refused(checkpoints, tmp_path):
    assert check() == check(_options(BODY, checkpoints(BODY))) == []
    dataset = {"dataset_name": "mpii", "keypoint_id2name": {0: "pelvis"}}
    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {"dataset_meta": dataset}}, tmp_path / "a.pth")
    (fault,) = check(_options(BODY, str(tmp_path / "a.pth")))
    assert "was trained on the 1 joints of 'mpii', the configuration says the 17 of 'coco'" in fault


class _RunsSomething:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


def test_checkpoint_with_code_is_never_given_to_mmengine(tmp_path):
    torch.save({"state_dict": {}, "meta": _RunsSomething(tmp_path / "was-run")}, tmp_path / "a.pth")
    (fault,) = check(_options(BODY, str(tmp_path / "a.pth")))
    assert "a.pth: names posix.mkdir, which could run code when the file is opened; refused." in fault
    assert not (tmp_path / "was-run").exists()
