"""The ONNX backend against MMPose itself and against rtmlib, on networks with random weights and a real film."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mmpose", reason="needs MMPose: make test-mmpose")
pytest.importorskip("rtmlib", reason="needs the package rtmlib")
torch = pytest.importorskip("torch")

from test_detector import BOXES, raw_answer  # noqa: E402
from tiny_onnx import write_detector  # noqa: E402

from pcan_extract.backends import BackendOptions, create_backend  # noqa: E402
from pcan_extract.backends.crops import Size, cut, regions  # noqa: E402
from pcan_extract.backends.detector import load_detector  # noqa: E402
from pcan_extract.backends.mmpose_configs import find_config  # noqa: E402
from pcan_extract.backends.mmpose_stubs import import_mmpose  # noqa: E402
from pcan_extract.backends.onnx import normalised  # noqa: E402
from pcan_extract.backends.onnx_session import Network  # noqa: E402

pytestmark = pytest.mark.mmpose

# Two people in some frames, boxes that reach over the picture's edge, and a frame without anybody.
PEOPLE = [[(0, 0, 176, 144)], [(30.5, 20.25, 120, 140), (-10, 5, 60, 100)], [], [(90, 40, 190, 150)]]
MARGIN = 0.004  # by which scores may differ; OpenCV and numpy round colours differently
BODY = "rtmpose-m_8xb256-420e_coco-256x192"
# Not RTMW: with random weights it makes a thousand times as much of a rounding.
WHOLE_BODY = "rtmpose-m_8xb64-270e_coco-wholebody-256x192"


@pytest.fixture(scope="module", params=[BODY, WHOLE_BODY])
def network(request, film, tmp_path_factory):
    """Return the files of a network with random weights: MMPose's config and checkpoint, and an ONNX export."""
    import_mmpose()
    from mmengine.config import Config
    from mmpose.apis import init_model

    folder = tmp_path_factory.mktemp("network")
    config = Config.fromfile(find_config(request.param))
    # An exported network sees each picture once, MMPose's tests also its mirror image.
    config.model.test_cfg = {"flip_test": False}
    config.model.backbone.update(_scope_="mmpose", init_cfg=None)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config.dump(folder / "config.py")
        model = init_model(config, None, device="cpu")
        size = Size(*config.codec.input_size)
        _make_answers_follow_the_picture(model, film, size)
        torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")
        names = ["input", "simcc_x", "simcc_y"]
        torch.onnx.export(
            _Forward(model).eval(),
            (torch.zeros(2, 3, size.height, size.width),),
            str(folder / "rtm.onnx"),
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "N"} for name in names},
            opset_version=17,
            dynamo=False,
        )
    return SimpleNamespace(
        config=folder / "config.py", checkpoint=folder / "weights.pth", onnx=folder / "rtm.onnx", size=size
    )


class _Forward(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pictures):
        return self.model.head.forward(self.model.extract_feat(pictures))


@torch.no_grad()
def _make_answers_follow_the_picture(model, film, size):
    """Set statistics and last layers so that joints move with what is seen; as initialised they hardly do."""
    corners = np.random.default_rng(0).uniform(0, 80, (12, 2))
    boxes = np.concatenate([corners, corners + 60], 1).astype(np.float32)
    pictures = torch.from_numpy(normalised(cut(film, range(12), regions(boxes, size), size)))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
    seen = []
    hook = model.head.cls_x.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    _Forward(model)(pictures)
    hook.remove()
    model.eval()
    hidden = seen[0]  # (N, V, C)
    # What all crops have in common would decide where the joints are; the last layers are made blind to most of it.
    common = torch.linalg.svd(hidden.mean(0).T, full_matrices=False)[0][:, :17]  # (C, 17)
    for layer in (model.head.cls_x, model.head.cls_y):
        layer.weight -= (layer.weight @ common) @ common.T
        layer.weight /= 4 * (hidden @ layer.weight.T).std()


def _decided(network, frames):
    """Return which joints (N, V) of all people have one best place: between two, rounding may choose.

    Weights that were never trained give vectors without any form, in which this happens.
    """
    owners = [i for i, boxes in enumerate(PEOPLE) for _ in boxes]
    where = regions(np.concatenate(_people()), network.size)
    pictures = normalised(cut(frames, owners, where, network.size))
    ranked = [np.sort(vectors, -1) for vectors in next(Network(network.onnx).batches(pictures, len(pictures)))]
    columns, rows = (each[..., -1] - each[..., -2] for each in ranked)
    return np.minimum(columns, rows) > MARGIN


def _people():
    return [np.array(boxes, np.float32).reshape(-1, 4) for boxes in PEOPLE]


def test_an_export_gives_mmposes_joints(network, film):
    frames = list(film[:4])
    reference = create_backend("mmpose", BackendOptions(model=str(network.config), checkpoint=str(network.checkpoint)))
    exported = create_backend("onnx", BackendOptions(model=str(network.onnx), batch_size=2))
    with reference as one, exported as other:
        expected = one.find_joints(frames, _people())
        got = other.find_joints(frames, _people())
    keypoints, scores = (np.concatenate(part) for part in zip(*expected, strict=True))  # (N, V, 2), (N, V)
    others, other_scores = (np.concatenate(part) for part in zip(*got, strict=True))
    assert [len(each) for each, _ in got] == [len(boxes) for boxes in PEOPLE]
    np.testing.assert_allclose(scores, other_scores, atol=MARGIN)
    decided = _decided(network, frames)
    assert decided.mean() > 0.75
    assert abs(keypoints - others)[decided].max() <= 1
    # The comparison would say nothing if all joints stayed in one place.
    assert keypoints.std(0).mean() > 10


def test_rtmlib_finds_the_same_joints(network, film):
    from rtmlib import RTMPose

    frames = list(film[:4])
    reference = RTMPose(str(network.onnx), network.size)
    with create_backend("onnx", BackendOptions(model=str(network.onnx))) as opened:
        got = opened.find_joints(frames, _people())
    keypoints, scores = (np.concatenate(part) for part in zip(*got, strict=True))
    # It takes colours as they come, so they come in the order that the network was trained with.
    expected = [reference(frame, boxes) for frame, boxes in zip(frames, PEOPLE, strict=True) if boxes]
    others, means = (np.concatenate(part) for part in zip(*expected, strict=True))
    decided = _decided(network, frames)
    assert abs(keypoints - others)[decided].max() <= 1
    assert (means >= scores - MARGIN).all()  # rtmlib's are the mean of two maxima, MMPose's the lower one


@pytest.mark.parametrize("height", [32, 50, 144])
def test_rtmlib_finds_the_same_people(film, tmp_path, height):
    from rtmlib import YOLOX, RTMDet

    frames = [frame[:height] for frame in film[:2]]
    boxes = [(2, 3, 30, 29), (4, 3, 32, 30), (40, 1, 63, 31)]
    # One class: with more, rtmlib returns dogs as well.
    raw = raw_answer(boxes, [0.8, 0.9, 0.5], classes=1)
    size = (32, 64)
    for name, answer, scale, make in (
        ("yolox", BOXES[[0, 4, 1]], 1 / 255, YOLOX),
        ("yolox_raw", raw, 1 / 255, lambda path, size: YOLOX(path, size, score_thr=0.3)),
        ("rtmdet", BOXES[[0, 4, 1]], 0.5, RTMDet),
    ):
        path = write_detector(tmp_path / f"{name}.onnx", answer, scale=scale)
        found = load_detector(BackendOptions(detector=str(path)))(frames)
        reference = make(str(path), size)
        for frame, boxes in zip(frames, found, strict=True):
            assert len(boxes)
            np.testing.assert_allclose(boxes, reference(np.ascontiguousarray(frame[..., ::-1])), rtol=1e-5)


def test_crops_are_opencvs(film):
    import cv2

    size = Size(192, 256)
    for box in PEOPLE[0] + PEOPLE[1] + PEOPLE[3]:
        where = regions(np.array([box], np.float32), size)
        (centre,), (extent,) = where
        scale = size.width / extent[0]
        matrix = np.array(
            [[scale, 0, size.width / 2 - scale * centre[0]], [0, scale, size.height / 2 - scale * centre[1]]]
        )
        expected = cv2.warpAffine(film[0], matrix, size, flags=cv2.INTER_LINEAR)
        difference = abs(cut(film, [0], where, size)[0].astype(int) - expected)
        # OpenCV 4 rounds places to 1 / 32 pixel, OpenCV 5 does not.
        assert difference.mean() < 0.2


def test_the_names_are_rtmlibs():
    import rtmlib

    from pcan_extract.backends.onnx_models import NAMES, SETS

    assert {f"{name}-{mode}" for name, kind in SETS.items() for mode in getattr(rtmlib, kind).MODE} == set(NAMES)
    for kind in SETS.values():
        assert all(set(part) >= {"pose", "det"} for part in getattr(rtmlib, kind).MODE.values())
