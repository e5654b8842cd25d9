"""The hierarchical head's switches and weights."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pcan_pose.config.section import Section

# What mode as_published means for each switch of a fault.
PUBLISHED_HEAD: dict[str, Any] = {
    "embedding_pooling": "published",
    "diversity": "detached",
    "unseen_prototypes": "random",
}
PUBLISHED_CALIBRATION: dict[str, Any] = {"weighting": "logits", "clips": "all", "detach_probability": False}


class CalibrationConfig(Section):
    """Prototypical calibration of ambiguous clips; each switch settles one fault of the published code."""

    enabled: bool = Field(default=True, description="whether the calibration losses are computed")
    weight: float = Field(default=0.2, ge=0, description="weight of both calibration losses in the total")
    alpha: float = Field(default=0.125, ge=0, description="strength of the compensation towards ambiguous clips")
    temperature: float = Field(default=0.125, gt=0, description="temperature of the contrastive logits")
    false_negative_weights: tuple[float, float, float] = Field(
        default=(1.0, 0.1, 0.5), description="weights of FN1 (action wrong), FN2 (body part wrong) and FN3 (both wrong)"
    )
    false_positive_weight: float = Field(default=1.0, ge=0, description="weight of the false positives")
    weighting: Literal["losses", "logits"] = Field(
        default="losses",
        description="what the four weights multiply; on logits, as published, they are temperatures and not weights",
    )
    clips: Literal["ambiguous", "all"] = Field(
        default="ambiguous",
        description="clips that each loss is averaged over; the published code takes all, ambiguous or not",
    )
    detach_probability: bool = Field(
        default=True,
        description="keep the label's probability constant; the published code leaks this loss into the classifier",
    )


class HeadConfig(Section):
    """The hierarchical head: two classifiers, the action tree, prototypes, calibration, rectification."""

    mode: Literal["corrected", "as_published"] = Field(
        default="corrected", description="as_published sets every switch of a fault to the published code's arithmetic"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the pooled feature dropped in training")
    body_weight: float = Field(default=1.0, ge=0, description="weight of the body parts' cross-entropy")
    tree_weight: float = Field(default=1.0, ge=0, description="weight of the tree loss")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="label smoothing of both cross-entropies")
    action_embedding: int = Field(default=256, ge=1, description="width of the action prototypes")
    body_embedding: int = Field(default=128, ge=1, description="width of the body-part prototypes")
    embedding_pooling: Literal["mean", "published"] = Field(
        default="mean",
        description="what embeddings see in training: the mean over time and joints as at inference, or the published "
        "maximum over joints of the mean over time, which inference never sees",
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="share of the old prototype in an update")
    calibration: CalibrationConfig = CalibrationConfig()
    diversity_weight: float = Field(default=0.2, ge=0, description="weight of the prototypes' diversity loss")
    diversity: Literal["differentiable", "detached"] = Field(
        default="differentiable",
        description="off-diagonal and differentiable, or the published full and detached norm, which trains nothing",
    )
    unseen_prototypes: Literal["zero", "random"] = Field(
        default="zero",
        description="start of a prototype; the published code starts at random normal, noise that rectification adds",
    )
    logit_adjustment: float = Field(
        default=0.0,
        ge=0,
        description="tau: the actions' cross-entropy takes logits + tau log(share of the training clips), which keeps "
        "frequent actions from crowding out rare ones; 0 is off, 1 aims at the mean of the classes' accuracies",
    )
    rectification: float = Field(
        default=1.0, ge=0, description="weight of the prototypes' similarity at inference; 0 is off"
    )

    @model_validator(mode="before")
    @classmethod
    def _published_switches(cls, values: Any) -> Any:
        """Set the switches of a mode, unless they are given."""
        if not isinstance(values, dict) or values.get("mode") != "as_published":
            return values
        given = values.get("calibration") or {}
        calibration = {**PUBLISHED_CALIBRATION, **given} if isinstance(given, dict) else given
        return {**PUBLISHED_HEAD, **values, "calibration": calibration}
