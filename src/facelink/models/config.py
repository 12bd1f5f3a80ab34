"""What a LinkGCN is made of, as a dataclass that is stored beside the weights."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args

from facelink.calibration import Calibration
from facelink.errors import InputError
from facelink.models.aggregators import Aggregator, MeanNormalization
from facelink.models.saved import LARGEST_WIDTH, are_widths, config_values
from facelink.subgraphs import SubgraphSettings

MODEL_TYPE = "link_gcn"


@dataclass(frozen=True)
class LinkGCNConfig:
    """What a LinkGCN is made of; stored beside its weights.

    Parameters
    ----------
    n_features
        Width D of the features the model reads.
    widths
        Output width of each graph convolution.
    aggregator
        ``"mean"``, ``"weighted"`` or ``"attention"``.
    mean_normalization
        ``"row"`` (D⁻¹A) or ``"symmetric"`` (D^-½ A D^-½); for ``"mean"`` only.
    attention_width
        Hidden width of the attention MLP; for ``"attention"`` only.
    subgraphs
        Subgraph settings to use the model with.
    initial_threshold
        Link likelihood at which merging starts; training stores the one that
        was best on its validation identities.
    temperature, bias
        Calibration of the likelihoods, fitted on the validation identities:
        what merging by likelihood applies (`facelink.calibration`).

    Raises
    ------
    InputError
        If a width is not a whole number from 1 to 65536, the threshold lies
        outside [0, 1], or a choice is unknown.
    """

    n_features: int
    widths: tuple[int, ...] = (512, 512, 256, 256)
    aggregator: Aggregator = "mean"
    mean_normalization: MeanNormalization = "row"
    attention_width: int = 64
    subgraphs: SubgraphSettings = field(default_factory=SubgraphSettings)
    initial_threshold: float = 0.5
    temperature: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        for name, value, allowed in (
            ("aggregator", self.aggregator, get_args(Aggregator)),
            ("mean_normalization", self.mean_normalization, get_args(MeanNormalization)),
        ):
            if value not in allowed:
                raise InputError(f"{name}={value!r}; choose one of {', '.join(allowed)}.")
        all_widths = (self.n_features, self.attention_width, *self.widths)
        if not self.widths or not are_widths(all_widths):
            raise InputError(
                f"n_features={self.n_features!r:.40}, widths={self.widths!r:.80}, attention_width="
                f"{self.attention_width!r:.40}; give whole numbers of at least 1 and at most "
                f"{LARGEST_WIDTH}, and at least one width."
            )
        if not 0 <= self.initial_threshold <= 1:
            raise InputError(f"initial_threshold={self.initial_threshold}; choose from [0, 1].")
        Calibration(self.temperature, self.bias)  # checks them

    @property
    def calibration(self) -> Calibration:
        """What makes the model's likelihoods honest."""
        return Calibration(self.temperature, self.bias)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"model_type": MODEL_TYPE, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "LinkGCNConfig":
        """Read the JSON form; an unknown or missing key or a wrong value is an `InputError`."""
        own = config_values(values, MODEL_TYPE, (item.name for item in fields(cls)))
        try:
            return cls(**{**own, "subgraphs": SubgraphSettings(**own["subgraphs"])})
        except TypeError as error:
            raise InputError(f"a value is of the wrong type ({error}).") from error
