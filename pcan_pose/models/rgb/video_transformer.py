"""Video transformers of the Hugging Face library as RGB encoders: VideoMAE, V-JEPA 2, TimeSformer, ViViT.

Shapes: N clips, T frames, H rows, W columns, L tokens (patches over a few frames, and a class token where the network
has one), F features.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from pcan_pose.errors import ConfigError
from pcan_pose.models.rgb.encoder import RGBEncoder
from pcan_pose.models.rgb.pretrained_video import load_network, transformers

# Where configurations say the length and the size of the clips that a network takes.
_FRAMES, _SIZE = ("num_frames", "frames_per_clip"), ("image_size", "crop_size")


class VideoTransformer(RGBEncoder):
    """A video transformer, whose tokens are averaged to a clip's feature.

    What a network has beside its encoder, a predictor or a pooler, is dropped: it would take memory and no gradient.

    Args:
        network: A video model of the library, without a head.
        mean: Of red, green and blue in [0, 1], as the network was trained with.
        std: Of red, green and blue, likewise.

    Raises:
        ConfigError: If the network is no video model.

    Shapes:
        input (N, T, 3, H, W) in [0, 1] -> output (N, F), tokens (N, L, F).
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(mean, std)
        config: Any = network.config
        self.kind: str = config.model_type
        self.frames, self.size = clip_shape(config)
        self.out_features = config.hidden_size
        for part in ("predictor", "pooler"):
            if hasattr(network, part):
                setattr(network, part, None)
        self.network = network
        # VideoMAE with mean pooling leaves its last normalisation to whoever pools.
        unnormalised = getattr(network, "layernorm", self) is None
        self.norm: nn.Module = nn.LayerNorm(self.out_features) if unnormalised else nn.Identity()

    @classmethod
    def load(cls, name: str, *, pretrained: bool = True) -> Self:
        """Return the encoder of a local folder, or of an id on the Hugging Face hub.

        Args:
            name: A folder with config.json and model.safetensors, or an id. Weights in pickles and code that comes
                with a model are refused.
            pretrained: Load the weights; else start from random ones.

        Raises:
            ConfigError: If there is no such model, if it is no video model, or if some of its weights are missing.
            MissingDependencyError: If transformers is not installed.
        """
        network, scaling = load_network(name, pretrained=pretrained, check=clip_shape)
        return cls(network, scaling.mean, scaling.std)

    def description(self) -> dict[str, Any]:
        """Return all but the weights as plain values for JSON, so that a checkpoint stands alone."""
        config: Any = self.network.config
        return {
            "config": config.to_diff_dict(),
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Return an encoder with random weights, from what `description` returned.

        Raises:
            ConfigError: If it is no description of a video model.
            MissingDependencyError: If transformers is not installed.
        """
        library = transformers()
        try:
            settings = dict(description["config"])
            config = library.AutoConfig.for_model(settings.pop("model_type"), **settings)
            network = library.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
            return cls(network, description["mean"], description["std"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"this describes no video model: {error}") from error

    def check(self, frames: int, size: int) -> None:
        """Check that clips of this length and size are what the network takes.

        V-JEPA 2 turns its tokens by their time, and so takes other lengths; the others have a table of positions.

        Args:
            frames: T.
            size: H and W, pixels.

        Raises:
            ConfigError: If they are not.
        """
        faults = []
        if self.kind == "vjepa2":
            config: Any = self.network.config
            if frames < 1 or frames % config.tubelet_size:
                faults.append(f"{self.kind} got clips of {frames} frames, expected a multiple of {config.tubelet_size}")
        elif frames != self.frames:
            faults.append(f"{self.kind} got clips of {frames} frames, expected {self.frames}, as it was trained with")
        if size != self.size:
            faults.append(f"{self.kind} got clips of {size}x{size}, expected {self.size}x{self.size}")
        if faults:
            raise ConfigError(*faults)

    def tokens(self, clips: Tensor) -> Tensor:
        """Return the tokens, (N, L, F).

        Args:
            clips: float (N, T, 3, H, W) in [0, 1].

        Raises:
            ConfigError: If the network takes no clips of this length or size.
        """
        frames, _, height, width = clips.shape[1:]
        self.check(frames, height)
        self.check(frames, width)
        # V-JEPA 2 as a whole would gather what its predictor wants.
        network: Any = self.network.encoder if self.kind == "vjepa2" else self.network
        tokens: Tensor = network(self.normalised(clips)).last_hidden_state
        return tokens

    def pool(self, tokens: Tensor) -> Tensor:
        """Return the mean over the tokens, (N, F), normalised where the network left that to the pooling.

        Args:
            tokens: (N, L, F).
        """
        pooled: Tensor = self.norm(tokens.mean(1))
        return pooled

    def stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of the embeddings, of each layer and of the last normalisation."""
        config: Any = self.network.config
        layers = next(
            module
            for module in self.network.modules()
            if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers
        )
        inside = set(layers.parameters())
        outside = [(name, parameter) for name, parameter in self.named_parameters() if parameter not in inside]
        first = [parameter for name, parameter in outside if "embeddings" in name]
        last = [parameter for name, parameter in outside if "embeddings" not in name]
        return [first, *(list(layer.parameters()) for layer in layers), last]

    def checkpoint_gradients(self, on: bool = True) -> None:
        """Keep the activations inside the layers, or compute them again on the way back."""
        # The library renamed the switches within version 5.
        name = "activation" if hasattr(self.network, "activation_checkpointing_enable") else "gradient"
        if on:
            getattr(self.network, f"{name}_checkpointing_enable")({"use_reentrant": False})
        else:
            getattr(self.network, f"{name}_checkpointing_disable")()


def clip_shape(config: object) -> tuple[int, int]:
    """Return the frames and the size in pixels of the clips that a network takes.

    Args:
        config: The library's configuration of a network.

    Raises:
        ConfigError: If it is no video model over square pictures.
    """
    frames, size = (
        next((getattr(config, key) for key in keys if hasattr(config, key)), None) for keys in (_FRAMES, _SIZE)
    )
    if isinstance(size, Sequence) and len(set(size)) == 1:
        size = size[0]
    if not isinstance(frames, int) or not isinstance(size, int) or not hasattr(config, "num_hidden_layers"):
        kind = getattr(config, "model_type", type(config).__name__)
        raise ConfigError(
            f"{kind} is no video model over square pictures: its configuration says {frames} frames and size {size}; "
            "expected VideoMAE, V-JEPA 2, TimeSformer or ViViT"
        )
    return frames, size
