"""Grad-CAM of one deployed member for many images, in a process of its own."""

import keras
import numpy as np

from pipeline.images.heat_map import resize_map
from pipeline.network.compiled import prepare_backend
from pipeline.network.grad_cam import GradCam, Seen
from pipeline.network.maps_job import MapsJob, MemberMaps
from pipeline.network.scored import load_scored


def draw_maps(job: MapsJob) -> MemberMaps:
    """Load a member and draw its maps."""
    prepare_backend()
    cam = GradCam(load_scored(job.member, job.weights, views=job.views), views=job.views)
    heat, scores = [], []
    cells = (0, 0)
    for start in range(0, len(job.pixels), job.batch_size):
        part = slice(start, start + job.batch_size)
        seen = cam.look(job.pixels[part], job.known[part])
        cells = tuple(seen.feature_maps[0].shape[1:3])
        scores.append(_probabilities(seen, job.views))
        maps = [cam.explain(seen, row[part], target=job.target).heat for row in job.classes]
        heat.append([[_fit(heat, job.map_px) for heat in found] for found in maps])
    joined = np.concatenate([np.asarray(part, np.float32) for part in heat], axis=1)
    return MemberMaps(job.name, cells, joined, np.concatenate(scores))


def _probabilities(seen: Seen, views: int) -> np.ndarray:
    """Average over networks and views, as the member does, `(batch, 9)` float32."""
    each = [keras.ops.convert_to_numpy(keras.ops.softmax(logits)) for logits in seen.logits]
    return np.mean(each, axis=0).reshape(views, -1, each[0].shape[1]).mean(axis=0)


def _fit(heat: np.ndarray, side_px: int) -> np.ndarray:
    """Bring a map to another size, its highest point 1 again."""
    fitted = resize_map(heat, (side_px, side_px))
    return fitted / fitted.max()
