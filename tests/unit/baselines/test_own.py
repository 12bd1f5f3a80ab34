import numpy as np

from facelink.baselines.own import by_trained_model, group_by_facelink
from facelink.baselines.view import FaceView
from facelink.clustering import LinkageClustering
from facelink.synthetic import SyntheticSettings, make_faces


def test_the_default_is_that_of_linkage_clustering():
    faces = make_faces(SyntheticSettings(n_faces=300, n_features=64), seed=1)
    found = group_by_facelink(FaceView(faces.features), 0.0)
    np.testing.assert_array_equal(found, LinkageClustering().fit_predict(faces.features))
    assert 1 < len(set(found)) < 300


def test_a_trained_model_merges_as_linkage_clustering_does(trained_model, unseen_people):
    features, _ = unseen_people
    method = by_trained_model(trained_model)
    assert method.key == f"model-{trained_model.name}"
    found = method.group(FaceView(features), 0.0)
    expected = LinkageClustering(trained_model).fit_predict(features)
    np.testing.assert_array_equal(found, expected)
