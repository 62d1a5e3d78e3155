"""A configuration of SR-CycleGAN small enough for tests."""

SMALL = {
    "scale": 4,
    "patch_size": 12,
    "batch_size": 2,
    "width": 8,
    "blocks": 1,
    "shrinking_width": 8,
    "shrinking_blocks": 1,
    "discriminator_width": 4,
    "discriminator_strides": 2,
}
