"""The default settings, in one place: the library's signatures and the command line's help both take them here.

Imports nothing, so that `jaxstyle --help` answers without loading JAX.
"""

# The table of networks: the name on the command line, and where in `jaxstyle.networks` it is, as file:NAME.
NETWORKS = {
    "compact": "compact:COMPACT",
    "vgg19": "vgg:VGG19",
    "vgg16": "vgg:VGG16",
    "vgg19_bn": "vgg:VGG19_BN",
    "alexnet": "alexnet:ALEXNET",
    "densenet121": "densenet:DENSENET121",
}
NETWORK = "compact"  # on CPUs
FULL_NETWORK = "vgg19"  # on accelerators, which have the time; where it cannot be had, NETWORK
PREPROCESSINGS = ("keras", "torchvision")  # in `jaxstyle.networks.preprocessing`
CONTENT_LAYERS = ("relu4_2",)  # of the VGGs; other networks name their own
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

CONTENT_WEIGHT = 1.0
STYLE_WEIGHT = 30.0
VARIATION_WEIGHT = 3.0

SIZE = 512  # long side of the command line's result; a smaller content keeps its own
LEAST_COARSEST, COARSEST = 128, 180  # long side at which coarse-to-fine starts: half the full size between these
PICTURE_STRENGTH = 0.7  # of one pass like a picture; 1 loses the content
ONE_PASS_SIZE = 1024  # long side of a result of one pass; a smaller content keeps its own
SWEEP_SIZE = 192  # the same of the pictures of a sweep
MOST_CELLS = 500  # that a sweep runs without being told that this is meant
STEPS = 30  # at each scale
ADAM_STEPS = 80  # the same of Adam, whose steps are shorter
SOLVER = "lbfgs"
MARGIN = 24  # pixels beyond the border where styles are mixed by layer, which leaves a frame of some 8

COMPARE_SIZE = 160
COMPARE_EVALUATIONS = 100
COMPARE_RATES = (0.005, 0.015, 0.05)
ABLATE_SIZE = 160
ABLATE_STEPS = 100
ABLATE_RATE = 0.03  # from noise there is a longer way to go; 0.05 leaves grain
ABLATE_RATIOS = (1.0, 10.0, 100.0, 1000.0)

DEMO_SIZE = 384

TRAIN_STEPS = 6000
STYLE_WIDTH = 16  # channels of a network of styles, at full size
ADD_STEPS = 400
TRAIN_CROP = 128
TRAIN_BATCH = 4
TRAIN_RATE = 0.002
TRAIN_STYLE_SIZE = 320

UPSCALE_FACTORS = (2, 3, 4)
UPSCALE = 2
UPSCALERS = ("pixel", "perceptual")  # those that come with jaxstyle, by what they are trained by
UPSCALE_STEPS = 11_000
UPSCALE_BATCH = 8
UPSCALE_CROP = 144  # pixels a side
UPSCALE_RATES = {"pixel": 1.5e-3, "perceptual": 3e-4}

SEED = 0

ADAM_RATE = 0.015
HISTORY = 20
LINE_SEARCH_EVALUATIONS = 20

INVERSION_STEPS = 100
INVERSION_VARIATION = 0.3
TEXTURE_STEPS = 80
TEXTURE_VARIATION = 0.01
TEXTURE_COARSEST = 64  # long side in pixels of the source at the coarsest scale
FEATURES_COUNT = 24
STUDY_SIZE = 256  # long side of the picture that is looked into

MEGAPIXELS = 120  # of a picture that is read without being told that it is meant

STARTS = ("content", "noise", "style", "blur")
ONE_PASS_START = "stylize"  # a further one of the command line: the content painted in one pass
NAMED_STARTS = (*STARTS, ONE_PASS_START)
SOLVERS = ("adam", "lbfgs", "optax-lbfgs")
COLORINGS = ("style", "luminance", "lab", "match")
CONTENT_COLORING = "luminance"  # what `--color content` means
# The table of style losses: the name on the command line, and its file in `jaxstyle.losses`, statistic and distance.
STYLE_LOSSES = {
    "gram": "gram:gram_matrix,style_loss",
    "wasserstein": "gaussian:moments,wasserstein_loss",
    "mean-std": "gaussian:deviations,deviations_loss",
    "sliced-wasserstein": "sliced:quantiles,sliced_loss",
    "cmd": "cmd:central_moments,cmd_loss",
    "nearest": "nearest:cells,nearest_loss",
}
