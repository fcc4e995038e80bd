"""Seeds of what is random inside the network."""

import keras
import numpy as np


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every dropout's generator from (seed, epoch), so that a resumed epoch repeats exactly."""
    for index, layer in enumerate(model._flatten_layers()):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            state = np.random.SeedSequence([seed, epoch, 2, index]).generate_state(2)
            generator.state.assign(state.astype(generator.state.dtype))
