"""LinkGCN: the graph convolution network that judges links, as in the paper.

Source: L-GCN (arXiv 1903.11306), section 3.3 and figure 3. Node features are
residuals x_q − x_p; they pass a batch norm without affine parameters, four
graph convolutions Y = ReLU([X ‖ GX] W + b), and, for 1-hop nodes only, a small
classifier with two outputs: not linked, linked.

Two identities keep the work small without changing the numbers. [X ‖ GX] W is
X W_s + G (X W_n) with W_s and W_n the halves of W, so nodes are projected first
and aggregated after. And the first projection is linear in the residual, so it
is made once per *distinct* instance of a batch, then gathered and subtracted.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facelink.errors import InputError
from facelink.files import existing_file, load_arrays, save_arrays, write_json
from facelink.models.aggregators import (
    Aggregator,
    MeanNormalization,
    SparseAdjacency,
    aggregate,
    cosine_weights,
    mean_weights,
    softmax_per_row,
    take_rows,
)
from facelink.subgraphs import SubgraphBatch, SubgraphSettings

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
MODEL_TYPE = "link_gcn"

_NORM_EPS = 1e-5
_NORM_MOMENTUM = 0.1
_ATTENTION_SLOPE = 0.2


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

    Raises
    ------
    InputError
        If a width is not a whole number of at least 1, the threshold lies
        outside [0, 1], or a choice is unknown.
    """

    n_features: int
    widths: tuple[int, ...] = (512, 512, 256, 256)
    aggregator: Aggregator = "mean"
    mean_normalization: MeanNormalization = "row"
    attention_width: int = 64
    subgraphs: SubgraphSettings = field(default_factory=SubgraphSettings)
    initial_threshold: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        for name, value, allowed in (
            ("aggregator", self.aggregator, get_args(Aggregator)),
            ("mean_normalization", self.mean_normalization, get_args(MeanNormalization)),
        ):
            if value not in allowed:
                raise InputError(f"{name}={value!r}; choose one of {', '.join(allowed)}.")
        all_widths = (self.n_features, self.attention_width, *self.widths)
        if not self.widths or not all(isinstance(w, int) and w >= 1 for w in all_widths):
            raise InputError(
                f"n_features={self.n_features!r}, widths={self.widths!r}, attention_width="
                f"{self.attention_width!r}; give whole numbers of at least 1, and at least one "
                "width."
            )
        if not 0 <= self.initial_threshold <= 1:
            raise InputError(f"initial_threshold={self.initial_threshold}; choose from [0, 1].")

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"model_type": MODEL_TYPE, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "LinkGCNConfig":
        """Read the JSON form; an unknown or missing key or a wrong value is an `InputError`."""
        found, needed = values.keys(), {"model_type", *(item.name for item in fields(cls))}
        if values.get("model_type", MODEL_TYPE) != MODEL_TYPE:
            raise InputError(
                f"model_type is {values['model_type']!r}, not {MODEL_TYPE!r}; this is another kind "
                "of model."
            )
        if found != needed:
            raise InputError(
                f"unknown keys {sorted(found - needed)}, missing keys {sorted(needed - found)}; "
                f"a {MODEL_TYPE} has {', '.join(sorted(needed))}."
            )
        try:
            rest = {name: value for name, value in values.items() if name != "model_type"}
            return cls(**{**rest, "subgraphs": SubgraphSettings(**values["subgraphs"])})
        except TypeError as error:
            raise InputError(f"a value is of the wrong type ({error}).") from error


@dataclass(frozen=True, eq=False)
class LinkInput:
    """A batch of subgraphs with the features it needs, on one device.

    U distinct instances, M nodes, P pivots.

    Parameters
    ----------
    features : float32 (U, D)
        Features of the distinct instances.
    nodes : int64 (M,)
        Row of `features` of each node.
    pivots : int64 (P,)
        Row of `features` of each pivot.
    owners : int64 (M,)
        Row of `pivots` of each node.
    one_hop_rows : int64 (L,)
        Nodes that are classified, pivot by pivot and nearest first.
    adjacency
        Edges between the nodes.
    """

    features: Tensor
    nodes: Tensor
    pivots: Tensor
    owners: Tensor
    one_hop_rows: Tensor
    adjacency: SparseAdjacency

    @classmethod
    def from_batch(
        cls, batch: SubgraphBatch, features: NDArray[np.float32], device: torch.device | str = "cpu"
    ) -> "LinkInput":
        """Gather what a batch needs from the features (N, D) of the whole collection."""
        device = torch.device(device)
        instances, positions = np.unique(
            np.concatenate((batch.pivots, batch.nodes)), return_inverse=True
        )

        def on_device(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(device)

        return cls(
            features=on_device(np.ascontiguousarray(features[instances], dtype=np.float32)),
            nodes=on_device(positions[len(batch) :]),
            pivots=on_device(positions[: len(batch)]),
            owners=on_device(batch.owners),
            one_hop_rows=on_device(batch.one_hop_rows),
            adjacency=SparseAdjacency.from_batch(batch, device),
        )


class ResidualNorm(nn.Module):
    """Batch norm of the residuals x_q − x_p without affine parameters.

    Gives the scale s and shift t with which a residual r becomes r·s − t.
    In training both come from all nodes of the batch, real nodes only.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))

    def forward(self, inputs: LinkInput) -> tuple[Tensor, Tensor]:
        """Scale and shift, float32 (D,) each."""
        if self.training:
            mean, variance = self._batch_statistics(inputs)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = torch.rsqrt(variance + _NORM_EPS)
        return scale, mean * scale

    @torch.no_grad()
    def _batch_statistics(self, inputs: LinkInput) -> tuple[Tensor, Tensor]:
        features = inputs.features
        residuals = features[inputs.nodes] - features[inputs.pivots][inputs.owners]
        n_nodes = len(residuals)
        if n_nodes < 2:
            raise InputError(f"a training batch needs at least 2 nodes, got {n_nodes}.")
        variance, mean = torch.var_mean(residuals, dim=0, correction=0)
        unbiased = variance * (n_nodes / (n_nodes - 1))
        self.running_mean.lerp_(mean, _NORM_MOMENTUM)
        self.running_var.lerp_(unbiased, _NORM_MOMENTUM)
        return mean, variance


Project = Callable[[str], Tensor]
"""Gives a layer's input (M, d_in) times the layer's matrix of that name, (M, d)."""


@dataclass(frozen=True, eq=False)
class ProjectedFeatures:
    """Features times the first layer's matrices, once per instance rather than per node.

    Parameters
    ----------
    tables
        For each matrix W of the first layer, x·s W for every row of the
        features, (U, d), where s is the input norm's scale.
    shifts
        For each of them, t W, (d,), where t is the input norm's shift.
    """

    tables: dict[str, Tensor]
    shifts: dict[str, Tensor]

    def residuals(self, inputs: "LinkInput") -> Project:
        """Projection of the nodes' normalised residuals (x_q − x_p)·s − t."""

        def project(name: str) -> Tensor:
            table = self.tables[name]
            pivots = take_rows(table, inputs.pivots) + self.shifts[name]
            return take_rows(table, inputs.nodes) - take_rows(pivots, inputs.owners)

        return project


class EdgeAttention(nn.Module):
    """Edge weights of the attention aggregator: softmax of a 2-layer MLP on both ends' values.

    The hidden layer's weight is (2·d_in, hidden), the first half for the node
    and the second for its neighbour. A bias on the score would cancel in the
    softmax and is left out.
    """

    def __init__(self, in_width: int, hidden_width: int) -> None:
        super().__init__()
        self.hidden_weight = nn.Parameter(torch.empty(2 * in_width, hidden_width))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden_width))
        self.score_weight = nn.Parameter(torch.empty(hidden_width, 1))
        nn.init.xavier_uniform_(self.hidden_weight)
        nn.init.xavier_uniform_(self.score_weight)

    def forward(self, own: Tensor, neighbors: Tensor, adjacency: SparseAdjacency) -> Tensor:
        """Weight of each directed edge, (E,), from the halves of the hidden layer, (M, hidden)."""
        of_row = take_rows(own, adjacency.rows)
        hidden = of_row + take_rows(neighbors, adjacency.columns) + self.hidden_bias
        scores = functional.leaky_relu(hidden, _ATTENTION_SLOPE) @ self.score_weight
        return softmax_per_row(scores[:, 0], adjacency)


class GraphConv(nn.Module):
    """One graph convolution Y = ReLU([X ‖ GX] W + b) (paper, equation 2).

    `weight` is (2·d_in, d_out): the first half for the node itself, the second
    for the aggregated neighbours.

    Parameters
    ----------
    in_width, out_width
        d_in and d_out.
    attention_width
        Hidden width of the attention aggregator; None for fixed edge weights.
    """

    def __init__(self, in_width: int, out_width: int, attention_width: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * in_width, out_width))
        self.bias = nn.Parameter(torch.zeros(out_width))
        nn.init.xavier_uniform_(self.weight)
        self.attention = EdgeAttention(in_width, attention_width) if attention_width else None

    def matrices(self) -> dict[str, Tensor]:
        """The matrices (d_in, d) that the layer's input is multiplied by."""
        own, neighbors = self.weight.chunk(2)
        matrices = {"own": own, "neighbors": neighbors}
        if self.attention is not None:
            halves = self.attention.hidden_weight.chunk(2)
            matrices["attention_own"], matrices["attention_neighbors"] = halves
        return matrices

    def forward(
        self, project: Project, fixed_weights: Tensor, adjacency: SparseAdjacency
    ) -> Tensor:
        """Node values (M, d_out); `fixed_weights` (E,) are not read by attention."""
        edge_weights = fixed_weights
        if self.attention is not None:
            edge_weights = self.attention(
                project("attention_own"), project("attention_neighbors"), adjacency
            )
        aggregated = aggregate(project("neighbors"), edge_weights, adjacency)
        return functional.relu(project("own") + aggregated + self.bias)


class LinkGCN(nn.Module):
    """Judges, for each 1-hop node of each Instance Pivot Subgraph, its link with the pivot.

    Source: L-GCN, section 3.3; initial weights as in the authors' code (Xavier
    uniform, biases zero).

    Parameters
    ----------
    config
        Widths, aggregator and the subgraph settings to use it with.
    """

    def __init__(self, config: LinkGCNConfig) -> None:
        super().__init__()
        self.config = config
        in_widths = (config.n_features, *config.widths[:-1])
        attention_width = config.attention_width if config.aggregator == "attention" else None
        self.input_norm = ResidualNorm(config.n_features)
        self.convs = nn.ModuleList(
            GraphConv(*widths, attention_width)
            for widths in zip(in_widths, config.widths, strict=True)
        )
        last = config.widths[-1]
        self.classifier = nn.Sequential(nn.Linear(last, last), nn.PReLU(last), nn.Linear(last, 2))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.input_norm.running_mean.device

    def _project(self, features: Tensor, scale: Tensor, shift: Tensor) -> ProjectedFeatures:
        """Multiply features (U, D) by the first layer's matrices."""
        matrices = self._layers()[0].matrices().items()
        return ProjectedFeatures(
            {name: features @ (scale[:, None] * matrix) for name, matrix in matrices},
            {name: shift @ matrix for name, matrix in matrices},
        )

    def forward(self, inputs: LinkInput) -> Tensor:
        """Judge the 1-hop nodes.

        Parameters
        ----------
        inputs
            Subgraphs with M nodes, L of them at hop 1.

        Returns
        -------
        Tensor (L, 2)
            Logits of "not linked" and "linked".
        """
        projected = self._project(inputs.features, *self.input_norm(inputs))
        edge_weights = self._fixed_weights(inputs)
        first, *others = self._layers()
        values: Tensor = first(projected.residuals(inputs), edge_weights, inputs.adjacency)
        for conv in others:
            values = conv(_projection_of(values, conv), edge_weights, inputs.adjacency)
        logits: Tensor = self.classifier(take_rows(values, inputs.one_hop_rows))
        return logits

    def _layers(self) -> list[GraphConv]:
        return cast(list[GraphConv], list(self.convs))

    def _fixed_weights(self, inputs: LinkInput) -> Tensor:
        """Edge weights (E,) that do not depend on the layer; empty for attention."""
        if self.config.aggregator == "mean":
            return mean_weights(inputs.adjacency, self.config.mean_normalization)
        if self.config.aggregator == "weighted":
            return cosine_weights(inputs.adjacency, inputs.features, inputs.nodes)
        return inputs.features.new_empty(0)

    def check_features(self, features: NDArray[np.float32]) -> None:
        """Raise `InputError` if the features have another width than the model reads."""
        if features.ndim != 2 or features.shape[1] != self.config.n_features:
            raise InputError(
                f"the model reads features of width {self.config.n_features}, got shape "
                f"{features.shape}; use the embedder it was trained on, or train a model on "
                "these features (facelink train)."
            )

    def save_pretrained(self, folder: Path | str) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a folder.

        Raises
        ------
        OutputError
            If they cannot be written; a file is either whole or unchanged.
        """
        folder = Path(folder)
        weights = {name: value.cpu().numpy() for name, value in self.state_dict().items()}
        save_arrays(folder / WEIGHTS_NAME, weights, {"config": self.config.as_dict()})
        write_json(folder / CONFIG_NAME, self.config.as_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: torch.device | str = "cpu") -> "LinkGCN":
        """Read a model written by `save_pretrained`, ready to judge (in eval mode).

        Raises
        ------
        InputError
            If a file is missing, damaged, or the weights do not fit the config.
        """
        folder = Path(folder)
        model = cls(_read_config(folder))
        arrays, _ = load_arrays(folder / WEIGHTS_NAME, "model weights")
        expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        found = {name: array.shape for name, array in arrays.items()}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise InputError(
                    f"model {folder}: {name} has shape {found.get(name, 'missing')} in "
                    f"{WEIGHTS_NAME} but {expected.get(name, 'no place')} by {CONFIG_NAME}; the "
                    "two files do not belong together."
                )
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return model.to(device).eval()


def _projection_of(values: Tensor, conv: GraphConv) -> Project:
    """Projection of hidden values (M, d_in) by the next layer's matrices."""
    matrices = conv.matrices()
    return lambda name: values @ matrices[name]


def _read_config(folder: Path) -> LinkGCNConfig:
    if not folder.is_dir():
        raise InputError(
            f"model {folder}: no such folder; make one with facelink train or facelink "
            "import-checkpoint."
        )
    path = existing_file(folder / CONFIG_NAME, "model config")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"model config {path}: not JSON ({error}); write it again.") from error
    if not isinstance(config, dict):
        raise InputError(f"model config {path}: expected a JSON object, got {config!r:.80}.")
    try:
        return LinkGCNConfig.from_dict(config)
    except InputError as error:
        raise InputError(f"model config {path}: {error}") from error
