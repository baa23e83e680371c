"""How people's files name the parts of a residual network: one table of words.

A name such as 'backbone.layer1.0.conv2.weight' is a path: what lies before the network, a stage, a block's number, a
layer, a tensor. Words tell where stages, shortcuts, attention and heads lie; which layer of a branch is which follows
from the tensors' form (a convolution's weight has four dimensions, a norm's one) and their order. So 'conv1', 'bn1',
'residual_function.0' and 'layer.0.convolution' need no entry each. Adding a spelling is one entry here, and one test.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class StageWord:
    """How a file writes 'stage S, block I': a pattern with the groups `stage` and `block`.

    title: whose it is. Stages are numbers, or words of NUMBERS; a block without a number is its stage's last. Without
    stages, blocks lie in one list, in which a stage begins where their width changes.
    """

    pattern: str
    title: str

    def compiled(self) -> re.Pattern[str]:
        """Matches names behind a prefix: stage, block, and the rest inside the block."""
        return re.compile(rf"{self.pattern}\.(?P<rest>.+)")


FLAT = "one list of blocks"
NUMBERS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
STAGES = (
    StageWord(r"layer(?P<stage>\d+)\.(?P<block>\d+)", "torchvision, timm and most others"),
    StageWord(r"res(?P<stage>\d+)\.(?P<block>\d+)", "detectron2"),
    StageWord(r"stages\.(?P<stage>\d+)\.(?:layers|blocks)\.(?P<block>\d+)", "Hugging Face, timm's ResNet v2"),
    StageWord(r"conv(?P<stage>\d+)_x\.(?P<block>\d+)", "weiaicunzai's CIFAR networks"),
    StageWord(r"(?P<stage>first|second|third|fourth)_block\.(?:residual_block\.(?P<block>\d+)|final_block)",
              "fattorib's CIFAR networks"),
    StageWord(r"(?i:(?:(?:res|residual|conv)_?)?(?:stages?|blocks?|groups?|layers?|encoder|enc))[_.]?(?P<stage>\d+)[._](?:(?:layers|layer|blocks|block)\.?)?(?P<block>\d+)",
              "networks of people's own"),
    StageWord(r"(?:(?:res|residual)?_?(?:blocks|layers)|body|trunk|res_?block)\.(?P<block>\d+)", FLAT),
    StageWord(r"(?P<stage>\d+)\.(?P<block>\d+)", "a bare Sequential, as fastai's and Lightly's"),
)  # fmt: skip

SHORTCUT = re.compile(
    r"(?:(?:i_|identity_)?downsample|shortcut|skip(?:_connection)?|proj(?:ection)?|residual_conv|side|match_dimensions|"
    r"skip_layer|down_sample|conv_skip|convdim|conv_?shortcut|convShortcut|identity)\b(?!\d)"
)
ATTENTION = re.compile(
    r"(?:se|se_module|se_?layer|se_?block|squeeze\w*|excitation|eca|attn|attention|cbam|ca|sa|\w+_att\w*|\w*attention)\b",
    re.IGNORECASE,
)
# Of these, the words for gates that are made of channels' means alone; CBAM's, of the same tensors, also see maxima.
SQUEEZE = re.compile(r"(?:se|se_module|se_?layer|se_?block|squeeze\w*|excitation)\b", re.IGNORECASE)
# Layers of the first convolution; numbers are those of a bare Sequential.
STEM = re.compile(
    r"(?:stem|embedder|conv0|conv1|conv2|conv3|bn0|bn1|bn2|bn3|norm0|norm1|norm2|norm3|conv_1|bn_1|norm|conv|bn|input_layer|"
    r"first_?(?:conv|bn|norm|layer)|layer0|initial(?:_conv|_bn|_block)?|pre|prep|init_conv|init_bn|conv_in|norm_in|"
    r"(?i:gn|(?:batch|group|instance)_?norm|in(?=\d))\d*|(?:stage|block|layer|group)s?[._]?[01]|\d+)(?:\.|$)"
)
STEM_POOL = re.compile(r"maxpool\.[01](?:\.|$)")  # a convolution in the place of the pool
# Names that say of which kind norms are that keep no statistics.
GROUP_NORM = re.compile(r"(?:^|[._])(?:gn|group_?norm)\d*(?=[._]|$)", re.IGNORECASE)
BATCH_NORM = re.compile(r"(?:^|[._])batch_?norm\d*(?=[._]|$)", re.IGNORECASE)
INSTANCE_NORM = re.compile(r"(?:^|[._])(?:in|instance_?norm)\d*(?=[._]|$)", re.IGNORECASE)
# Norms between the last stage and the head; the last few words are those of re-identification.
LAST_NORM = re.compile(
    r"(?:norm|bn\d?|final_norm|last_norm|bn_last|final_bn|\w*post\w*norm|bottleneck|bnneck|bn_?neck|feat_bn)\."
)
HEAD = re.compile(
    r"(?:(?:fc|linear|classifier|head|dense)\d*|last_linear|heads?|logits|output|out|output_layer|final|final_layer|"
    r"cls_head|classification_head|dense|(?:fc|head|classifier|linear)_\w+|\d+)(?:\.|$)"
)
# What trains a network without being a part of it: read neither as its head nor as a network beside it.
PROJECTION = re.compile(
    r"(?:^|[._])(?:projector|projection(?:_head|_mlp)?|prototypes?|predictor|prediction_head|contrastive_head|proj_head|proj|queue|"
    r"queue_ptr|mlp_head|g|h)(?:[._]|$)"
)
# Linear layers that use the network's features for something else than classes, or by their angles alone.
NO_HEAD = re.compile(
    r"(?:^|[._])(?:arc\w*|cos\w*|margin\w*|metric\w*|bottleneck|neck|embedd\w*|embed|feat|features?|adapter|attn\w*|rotation|decoder|memory|fpn\w*|lat(?:eral|layer)\w*|toplayer|reduce\w*)(?:[._]|$)"
)
# Convolutions that are heads; of other names they lead to maps, as those of pyramids do.
SCORES = re.compile(r"cls|class|logit|pred|score|top|final|last|out", re.IGNORECASE)
# Layers of attention, which no head has in a row.
ATTENDS = re.compile(r"(?:^|\.)(?:q|k|v|kv|qkv|[qkvc]_proj|in_proj|out_proj|to_qkv)$")
# Tensors of recurrent layers, whatever these are called.
RECURRENT = re.compile(r"(?:^|\.)weight_hh(?:_l\d+)?(?:_reverse)?$")
# How tensors of linear layers, convolutions and norms end; what ends otherwise is of other layers.
ORDINARY = re.compile(r"(?:^|\.)(?:weight|bias|running_mean|running_var|num_batches_tracked|weight_[gv]|original[01])$")
# The exponent of a generalised mean over space (Radenovic et al. 2018, arXiv:1711.02512).
POOL_EXPONENT = re.compile(r"(?:^|\.)(?:p|gem_p|\w*(?:gem|pool)\w*\.\w+)$", re.IGNORECASE)
# Encoders of self-supervised learning, in which a layer called fc is a projection.
ENCODER = re.compile(
    r"(?:^|\.)(?:encoder_[qk]|base_encoder|momentum_encoder|online_encoder|target_encoder|query_encoder)\b"
)
# What stands beside an encoder whose fc is a projection (SimSiam, BYOL).
PREDICTOR = re.compile(r"(?:online_)?predictor\.|queue(?:_ptr)?$")
# Copies that follow another network's training: second choice where that one is there too.
COPY = re.compile(
    r"(?:^|[._])(?:teacher|momentum|encoder_k|target|key_encoder|ema|model_ema|state_dict_ema|averaged|swa|module_ema|"
    r"(?:avg|average|old|previous|prev|frozen|ref|reference|shadow)_?"
    r"(?:model|net|network|encoder|backbone|state_dict)?(?:\.|$))"
)
# Averages in forms that are not read as a network: torch_ema's list, LitEma's names without dots.
AVERAGE = re.compile(r"(?:^|\.)(?:shadow_params|collected_params|ema|model_ema)\.")
# What tells that a file is of self-supervised training, whose projections no head follows.
SELF_SUPERVISED = re.compile(COPY.pattern + r"|(?:^|[._])(?:predictor|prototypes?|queue)(?:[._]|$)")
PARAMETRIZED = (
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),  # PyTorch from 2.0
    ("weight_g", "weight_v"),
)
# Weights that are made of others by a rule that is not read: pruning, spectral normalisation, LoRA, quantisation.
MADE = re.compile(
    r"(?:^|\.)(?:weight_orig|weight_mask|weight_u|lora_\w+|qweight|\w+_packed_params\w*|weight_fake_quant|activation_post_process|"
    r"parametrizations\.\w+\.(?:original|\d+))"
    r"(?:\.|$)"
)
# Caffe2's blobs, whose names have no dots: 'res2_0_branch2a_bn_s', with a word for each tensor of a layer.
BLOB = re.compile(
    r"(?:(?:res_)?(?P<stem>conv1)|res(?P<stage>\d+)_(?P<block>\d+)_branch(?:2(?P<layer>[abc])|1)|(?P<head>fc\d+|pred))"
    r"_(?P<own>[a-z_]+)"
)
BLOB_TENSORS = {
    "w": ("conv", "weight"), "b": ("conv", "bias"), "bn_s": ("norm", "weight"), "bn_b": ("norm", "bias"),
    "bn_rm": ("norm", "running_mean"), "bn_riv": ("norm", "running_var"), "gn_s": ("group_norm", "weight"),
    "gn_b": ("group_norm", "bias"),
}  # fmt: skip
BLOB_BRANCH = "branch2"
# Weights of many layers in one tensor, as PyTorch's FSDP holds them on each of its machines.
FLAT_WEIGHTS = re.compile(r"(?:^|\.)_?flat_param(?:_\d+)?$")
# Steps of a name for what only wraps a layer.
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_fpw_module")
# What optimizers and training keep beside the weights.
TRAINING = re.compile(
    r"(?:^|\.)(?:optimizer\w*|optim|opt|lr_scheduler|scheduler|scaler|amp|state\.\d+|callbacks|loops)(?:\.|$)"
)
# What never runs: fattorib's templates of blocks, of which it takes copies, and a norm; TRADES' second first stage.
NEVER_RUN = re.compile(r"(?:(?:first|second|third|fourth)_block\.(?:conv_block|bn)|sub_block1)\.")
# Every name in timm's networks that `--model timm:NAME` takes.
TIMMS = re.compile(
    r"(?:layer\d\.\d+\.(?:(?:conv|bn|downsample\.)\d|conv\d\.(?:conv|bn|attn\.\w+|paths\.\d+\.\w+)|se\.(?:fc\d|conv))|"
    r"stages\.\d\.blocks\.\d+\.(?:norm\d|conv\d|downsample\.(?:conv|norm))|(?:conv|bn)\d|(?:conv1|maxpool)\.\d|"
    r"stem\.(?:norm|conv)\d?|norm|fc|head\.fc)\.(?:weight|bias|running_mean|running_var|num_batches_tracked)"
)
# Mean and standard deviation of pixels, where a network keeps them itself, and the module that they lie in.
PIXELS = {
    "mean": "std", "means": "stds", "mu": "sigma", "new_mean": "new_std", "pixel_mean": "pixel_std",
    "image_mean": "image_std", "norm_mean": "norm_std", "_mean": "_std",
}  # fmt: skip
NORMALISER = re.compile(
    r"(?:^|\.)(?:normali[sz]\w*|norm_layer|preproc\w*|pre_?process\w*|data_preprocessor|transforms?|\d+)(?:\.\d+)?$"
)
# What may stand beside a network under the same path: losses, metrics, counters, and what uses the network's features.
ASIDE = re.compile(
    r"^(?:criterion|\w*loss\w*|\w*centers?|proxies|memory\w*|\w*bank\w*|metric\w*|\w*_metric\w*|\w*acc\w*|n_averaged|initted|(?:global_|train_|num_)?(?:epochs?|steps?|iters?|iterations?|updates)|(?:new_|pixel_|image_|norm_|_)?(?:means?|stds?)|mu|sigma|normali[sz]\w*|"
    r"preproc\w*|pre_?process\w*|data_preprocessor|"
    r"aux\w*|master_branch|ppm|psp\w*|aspp\w*|cls(?=\.\d+\.)|deconv\w*|dconv\w*|up(?:_?(?:conv|block|sample|layer)\w*|\d+)|"
    r"(?:regression|classification)(?:Model|_model|_head)|final_layer|(?:last|out)_?conv\w*|hm|wh|reg|heatmap\w*|fpn\w*|rpn|roi_heads|proposal_generator|neck|decoder|decode_head|bbox_head|mask_head|"
    r"decoder\d+|dblock|final\w*conv\d*|attnpool|rotation|transformer|text_projection|token_embedding|positional_embedding|ln_final|head|heads|"
    r"classifier|fc\w*)(?:\.|$)"
    r"|" + PROJECTION.pattern
)
