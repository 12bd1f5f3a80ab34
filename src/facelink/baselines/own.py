"""facelink itself, behind the interface of the others."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.baselines.method import Baseline
from facelink.baselines.view import FaceView
from facelink.linking import default_threshold, judge_links, subgraph_settings
from facelink.links import Links
from facelink.merging.merge import MergeMethod, merge_links
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import choose_device
from facelink.models.loading import CONTEXT, LinkModel, load_link_model


def group_by_facelink(view: FaceView, _value: float, *, source: str = CONTEXT) -> NDArray[np.int64]:
    """Links by a model, merged as `LinkageClustering` does by default with it.

    By likelihood for the context model, by the paper's threshold-raising
    search for a `LinkGCN`, from the threshold of its training on.
    """
    model = load_link_model(source, choose_device("auto"))
    links = view.shared("links", lambda: _links(view, model))
    method: MergeMethod = "likelihood" if isinstance(model, ContextGCN) else "bfs"
    return merge_links(links, method, initial_threshold=default_threshold(model)).labels


def by_trained_model(folder: Path) -> Baseline:
    """Return the method that judges links by the model in a folder."""
    return Baseline(
        key=f"model-{folder.name}",
        title=f"facelink, trained model {folder.name}",
        source="L-GCN, CVPR 2019",
        group=partial(group_by_facelink, source=str(folder)),
    )


def _links(view: FaceView, model: LinkModel | None) -> Links:
    settings = subgraph_settings(model, view.n_faces)
    return judge_links(model, view.features, view.graph_of(settings.n_neighbors), settings)
