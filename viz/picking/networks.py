"""Networks beside the sidebar's, chosen by their names."""

HELP = (
    "Type others: a path of weights on the machine that runs the app, or a network with a lesion "
    "(resnet20-fashion?lesion=without:layer3.0)."
)
