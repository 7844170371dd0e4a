"""ResNet18, ResNet34 and DenseNet161 in torch, with the module names of torchvision."""

import torch
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = 64
        for stage, repeats in enumerate(blocks, start=1):
            outside = 32 * 2**stage
            layers = []
            for number in range(repeats):
                layers.append(BasicBlock(inside, outside, 2 if number == 0 and stage > 1 else 1))
                inside = outside
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(inside, 10)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class DenseLayer(nn.Module):
    def __init__(self, inside, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], 1)


class DenseNet(nn.Module):
    def __init__(self, blocks, growth, inside):
        super().__init__()
        features = nn.Sequential()
        features.add_module("conv0", nn.Conv2d(3, inside, 7, 2, 3, bias=False))
        features.add_module("norm0", nn.BatchNorm2d(inside))
        features.add_module("relu0", nn.ReLU())
        features.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        for number, repeats in enumerate(blocks, start=1):
            block = nn.Sequential()
            for layer in range(1, repeats + 1):
                block.add_module(f"denselayer{layer}", DenseLayer(inside, growth))
                inside += growth
            features.add_module(f"denseblock{number}", block)
            if number < len(blocks):
                transition = nn.Sequential()
                transition.add_module("norm", nn.BatchNorm2d(inside))
                transition.add_module("relu", nn.ReLU())
                transition.add_module("conv", nn.Conv2d(inside, inside // 2, 1, bias=False))
                transition.add_module("pool", nn.AvgPool2d(2, 2))
                features.add_module(f"transition{number}", transition)
                inside //= 2
        features.add_module("norm5", nn.BatchNorm2d(inside))
        self.features = features
        self.classifier = nn.Linear(inside, 10)

    def forward(self, x):
        return torch.relu(self.features(x))


NETWORKS = {
    "ResNet18": lambda: ResNet((2, 2, 2, 2)),
    "ResNet34": lambda: ResNet((3, 4, 6, 3)),
    "DenseNet161": lambda: DenseNet((6, 12, 36, 24), 48, 96),
    "DenseNet121": lambda: DenseNet((6, 12, 24, 16), 32, 64),
}


def random_network(name):
    """Return a network in evaluation mode whose statistics are not those of a fresh one."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.3, 0.8)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                # Some nearly 0, where a wrong epsilon would show.
                module.running_var.uniform_(1e-3, 1.0)
    return network
