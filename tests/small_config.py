"""Configurations of every method small enough for tests: scale 4, patches of 12 pixels, a few feature maps."""

_COMMON = {"scale": 4, "patch_size": 12, "batch_size": 2}
_DISCRIMINATOR = {"discriminator_width": 4, "discriminator_strides": 2}
_GENERATOR = {"width": 8, "blocks": 1}

SMALL = _COMMON | _DISCRIMINATOR | _GENERATOR | {"shrinking_width": 8, "shrinking_blocks": 1}
"""Of SR-CycleGAN."""

SMALL_BY_METHOD = {
    "bicubic": {"scale": 4},
    "nearest": {"scale": 4},
    "lanczos": {"scale": 4},
    "sr-cyclegan": SMALL,
    "cyclegan": SMALL,
    "synth-srgan": _COMMON
    | _DISCRIMINATOR
    | _GENERATOR
    | {
        "translation_width": 4,
        "translation_blocks": 1,
        "translation_discriminator_width": 4,
        "translation_discriminator_strides": 2,
    },
    "bayes-cyclegan": _COMMON | _DISCRIMINATOR | {"width": 4, "blocks": 1},
    "srgan": _COMMON | _DISCRIMINATOR | _GENERATOR,
    "sr-unit": _COMMON | _DISCRIMINATOR | _GENERATOR,
    "unit": _COMMON | _DISCRIMINATOR | _GENERATOR,
    "esrgan": _COMMON | _DISCRIMINATOR | _GENERATOR | {"growth": 4},
    "unet": _COMMON | {"width": 4, "levels": 2},
    "cincgan": _COMMON | _DISCRIMINATOR | _GENERATOR | {"sr_width": 16, "sr_blocks": 1},
    "pseudo-sr": _COMMON
    | _DISCRIMINATOR
    | _GENERATOR
    | {"sr_width": 16, "sr_groups": 1, "sr_blocks": 1, "clean_groups": 1, "clean_blocks": 1},
    "physics-flow": _COMMON
    | _GENERATOR
    | {
        "fine_width": 4,
        "fine_blocks": 1,
        "condition": 8,
        "texture_width": 8,
        "texture_fine_width": 4,
        "texture_discriminator_width": 4,
        "texture_area": 8,
    },
    "physics-srgan": _COMMON | _DISCRIMINATOR | _GENERATOR,
}
