import numpy as np
import torch

from facelink.context.names import FEATURE_NAMES
from facelink.models.context_gcn import ContextGCN, ContextGCNConfig
from facelink.training.context.batches import Batch, parts_of
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

FACES = FaceSet("people", *clustered_features(n_people=12, faces_each=5, n_features=16))


def parts(k=8, n_pivots=40, seed=0):
    random = np.random.default_rng(seed)
    return list(parts_of(FACES, k, n_pivots, ContextGCNConfig(), random))


def test_a_part_holds_the_truth_of_its_links():
    made = parts(k=4, n_pivots=100)
    assert sum(len(part) for part in made) == 60 * 4
    linked = np.concatenate([part.is_linked for part in made])
    assert linked.mean() > 0.8, "everyone has 4 more faces"
    near = np.concatenate([part.similarities for part in made])
    assert near[linked].mean() > near[~linked].mean()


def test_parts_side_by_side_are_judged_as_alone():
    made = [*parts(8), *parts(5, seed=1)]
    torch.manual_seed(0)
    model = ContextGCN().eval()
    together = Batch.of(made)
    assert together.features.shape == (sum(map(len, made)), len(FEATURE_NAMES))
    with torch.inference_mode():
        alone = [model(one.features, one.adjacency) for one in (Batch.of([part]) for part in made)]
        torch.testing.assert_close(model(together.features, together.adjacency), torch.cat(alone))


def test_wide_contexts_weigh_less_per_node():
    wide, narrow = Batch.of(parts(9)), Batch.of(parts(4))
    torch.testing.assert_close(wide.weights.unique(), torch.tensor([1 / 3]))
    torch.testing.assert_close(narrow.weights.unique(), torch.tensor([0.5]))
