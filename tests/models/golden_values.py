"""What the head computes beside what the official head computed, for every golden file (see tests/golden/README.md).

Every function runs the public path, `TreeHead` or `Recognizer` and `TrainingStep`, with `mode: as_published`, and
returns pairs of an own and an official number by name. Changes are settings of the head, put on top of the mode.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from pcan_pose.config import HeadConfig
from pcan_pose.losses import tree_loss
from pcan_pose.models.calibration import action_sets
from pcan_pose.models.encoder import Encoder
from pcan_pose.models.recognizer import Recognizer, TrainingStep
from pcan_pose.models.tree_head import TreeHead
from pcan_pose.taxonomy import MA52, Taxonomy

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Values = dict[str, torch.Tensor]
Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]
BODY, ACTION = MA52.num_body_parts, MA52.num_actions


def load(name: str) -> Values:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as golden:
        return {key: torch.from_numpy(np.asarray(golden[key])) for key in golden}


def published(changes: dict[str, Any]) -> HeadConfig:
    return HeadConfig.model_validate({"mode": "as_published", **changes})


def given_logits(inputs: int, changes: dict[str, Any], dtype: torch.dtype, taxonomy: Taxonomy = MA52) -> TreeHead:
    """A head over (N, inputs + K_b + K_a) features whose last columns are the logits of both levels themselves.

    So the official modules, which are given logits and features apart, can be compared through the whole head.
    """
    head = TreeHead(inputs + BODY + ACTION, taxonomy, published(changes)).to(dtype)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.body_classifier.weight[:, inputs : inputs + BODY] = torch.eye(BODY)
        head.action_classifier.weight[:, inputs + BODY :] = torch.eye(ACTION)
    return head


def tree(case: str, dtype: torch.dtype, taxonomy: Taxonomy = MA52) -> Pairs:
    values = load(f"tree_{case}")
    labels = values["label_action"]
    body, action = values["logits_body"].to(dtype), values["logits_action"].to(dtype)
    head = given_logits(0, {}, dtype, taxonomy)
    features = torch.cat([body, action], 1).requires_grad_()
    loss = head.losses(features, labels)["tree"]
    loss.backward()
    return {
        "loss": (loss.detach(), values["loss"]),
        "loss of each clip": (tree_loss(body, action, labels, head.parents), values["loss_per_sample"]),
        "gradient of the body parts' logits": (features.grad[:, :BODY], values["grad_logits_body"]),
        "gradient of the actions' logits": (features.grad[:, BODY:], values["grad_logits_action"]),
    }


def calibration(level: str, case: str, dtype: torch.dtype, **changes: Any) -> Pairs:
    """The calibration of one level and, for actions, the diversity, over all steps."""
    values = load(f"{level}_{case}")
    name = "body" if level == "coarse" else "action"
    width, inputs = values["cl_fc_weight"].shape
    head = given_logits(inputs, {f"{name}_embedding": width, **changes}, dtype)
    embedding, bank = getattr(head, f"{name}_embedding"), getattr(head, f"{name}_bank")
    with torch.no_grad():
        embedding.weight[:, :inputs] = values["cl_fc_weight"]
        embedding.bias.copy_(values["cl_fc_bias"])
    bank.prototypes.copy_(values["avg_f_init"].T)
    pairs: Pairs = {}
    for i in range(int(values["n_steps"])):
        step = {key.removeprefix(f"s{i}_"): value for key, value in values.items() if key.startswith(f"s{i}_")}
        found = body_step(head, step, inputs) if level == "coarse" else action_step(head, step, inputs)
        found |= {
            "avg_f": bank.prototypes.T.clone(),
            "grad_cl_fc_weight": embedding.weight.grad[:, :inputs].clone(),
            "grad_cl_fc_bias": embedding.bias.grad.clone(),
        }
        head.zero_grad()
        # The official gradient of the other level's logits is none.
        step["grad_logit_of_the_other_level"] = torch.zeros_like(found["grad_logit_of_the_other_level"])
        pairs |= {f"step {i}, {key}": (found[key], step[key]) for key in found.keys() & step.keys()}
    return pairs


def body_step(head: TreeHead, step: Values, inputs: int) -> Values:
    child = torch.tensor([MA52.parents.index(part) for part in range(BODY)])  # an action of each body part
    features = torch.cat([step["feature"], step["logit"], torch.zeros(len(step["label"]), ACTION)], 1)
    features = features.to(head.body_embedding.weight.dtype).requires_grad_()
    loss = head.losses(features, child[step["label"]])["body_calibration"]
    loss.backward()
    own, body, action = features.grad.split([inputs, BODY, ACTION], 1)
    return {"loss": loss.detach(), "grad_feature": own, "grad_logit": body, "grad_logit_of_the_other_level": action}


def action_step(head: TreeHead, step: Values, inputs: int) -> Values:
    features = torch.cat([step["feature"], step["logit_coarse"], step["logit_fine"]], 1)
    features = features.to(head.action_embedding.weight.dtype).requires_grad_()
    labels, body = step["label_fine"], step["label_coarse"]
    assert torch.equal(head.parents[labels], body)
    seen = int(head.action_bank.seen.sum())
    terms = head.losses(features, labels)
    loss = terms["action_calibration"] + terms["diversity"]
    loss.backward()
    sets = action_sets(step["logit_coarse"], step["logit_fine"], body, labels, (1, 1, 1), 1)
    sizes = [int(head.action_bank.seen.sum()) - seen, *(int(chosen.clips.sum()) for chosen in sets)]
    own, other, action = features.grad.split([inputs, BODY, ACTION], 1)
    return {
        "loss": loss.detach(),
        "calibration_loss": terms["action_calibration"].detach(),
        "diversity_loss": terms["diversity"].detach(),
        "n_tp_fn1_fn2_fn3_fp": torch.tensor(sizes),
        "grad_feature": own,
        "grad_logit_fine": action,
        "grad_logit_of_the_other_level": other,
    }


def rectification(official_weight: int, **changes: Any) -> Pairs:
    values = load("rectify")
    inputs = values["feat_proj"].shape[1]
    head = given_logits(inputs, {"action_embedding": inputs, **changes}, torch.float32).eval()
    with torch.no_grad():
        head.action_embedding.weight[:, :inputs] = torch.eye(inputs)
    head.action_bank.prototypes.copy_(values["proto"])
    features = torch.cat([values["feat_proj"], torch.zeros(len(values["logits"]), BODY), values["logits"]], 1)
    return {"rectified logits": (head(features).action_logits.detach(), values[f"rectified_w{official_weight}"])}


class GivenMap(Encoder):
    """Gives its input, (N, M, T, V, C), as the features before pooling."""

    def features(self, x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        return x.flatten(0, 1).permute(0, 3, 1, 2)


def whole_head(**changes: Any) -> Pairs:
    """One training step and then the prediction of the whole head, the pooling included."""
    values = load("head_pose")
    head = TreeHead(values["x_pose"].shape[1], MA52, published(changes))
    layers = {
        "action_classifier": "fc_pose",
        "body_classifier": "fc_pose_coarse",
        "action_embedding": "fine_cl_fc",
        "body_embedding": "coarse_cl_fc",
    }
    state = {
        f"{own}.{part}": values[f"{official}_{part}"] for own, official in layers.items() for part in ("weight", "bias")
    }
    banks = {"action": "fine", "body": "coarse"}
    state |= {f"{own}_bank.prototypes": values[f"{official}_avg_f_init"].T for own, official in banks.items()}
    head.load_state_dict(head.state_dict() | state)
    recognizer = Recognizer(GivenMap(), head)
    x = values["x_pose"].flatten(3).permute(0, 2, 3, 1)[:, None]  # (N, 1, T, H * W, C): space in the place of joints
    found = torch.ones(x.shape[:-1], dtype=torch.bool)
    actions, body = values["label_fine"], values["label_coarse"]
    with torch.no_grad():
        features = recognizer.encode(x, found)
        trained = head.action_classifier(features), head.body_classifier(features)
        terms = TrainingStep(recognizer)(x, found, actions=actions)
        prediction = recognizer.eval()(x, found)
    official = {
        "action": F.cross_entropy(values["train_logits_fine"], actions),
        "body": F.cross_entropy(values["train_logits_coarse"], body),
        "tree": values["train_tree_loss"].float(),
        "contrast": (values["train_fr_loss_fine"] + values["train_fr_loss_coarse"]).squeeze(),
    }
    fine = terms["action_calibration"] + terms["diversity"]
    return {
        "action logits in training": (trained[0], values["train_logits_fine"]),
        "body logits in training": (trained[1], values["train_logits_coarse"]),
        **{f"{name} loss": (terms[name], official[name]) for name in ("action", "body", "tree")},
        "calibration of actions and diversity": (fine, values["train_fr_loss_fine"].squeeze()),
        "calibration of body parts": (terms["body_calibration"], values["train_fr_loss_coarse"].squeeze()),
        # The official total: three losses as they are, the contrastive ones by a fifth.
        "total": (terms["loss"], official["action"] + official["body"] + official["tree"] + official["contrast"] / 5),
        "action prototypes": (head.action_bank.prototypes.T, values["fine_avg_f_after"]),
        "body prototypes": (head.body_bank.prototypes.T, values["coarse_avg_f_after"]),
        "rectified action logits": (prediction.action_logits, values["eval_rectified_fine"]),
        "body logits in evaluation": (prediction.body_logits, values["eval_logits_coarse"]),
    }
