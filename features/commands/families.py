"""The names of every family of choices, for helps that do without the registries: most of these bring PyTorch.

`tests/commands/test_choices.py` compares each with its registry, which checks what is given when a command runs.
"""

METHODS = (
    "gradcam", "hirescam", "gradcam++", "xgradcam", "layercam", "cam", "eigencam", "scorecam", "ledger",
    "integrated-gradients", "guided-gradcam", "occlusion",
)  # fmt: skip
MEASURABLE = (*(name for name in METHODS if name != "ledger"), "random")
TAPS = ("stages", "blocks", "branches")
COLOURS = ("Inferno", "Viridis", "Cividis", "Turbo", "Gray", "Blue, black, orange", "Blue to red")
LESIONS = ("without", "scaled", "random", "swapped")
POOLINGS = ("mean", "max", "gem", "none")
PRECISIONS = ("fp32", "bf16", "fp16")
ENGINES = ("torch", "cuda-graphs", "torch-plain", "openvino")
FORMATS = ("parquet", "npy", "npz", "safetensors", "tensorboard")
