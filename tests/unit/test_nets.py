"""Networks: shapes, sizes and starts that the papers and their code fix."""

import math

import pytest
import torch

from adlib import nets


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_wrn_10_4_has_the_size_of_the_authors_network():
    body = nets.wrn_10_4((3, 32, 32))
    head = torch.nn.Linear(nets.features_of(body, (3, 32, 32)), 72)
    assert parameters(body) + parameters(head) == 1_214_744


@pytest.mark.parametrize(
    "factory,shape,features",
    [
        (nets.wrn_10_1, (1, 32, 32), 64),
        (nets.wrn_10_4, (1, 28, 28), 256),
        (nets.wrn_16_8, (3, 64, 64), 512 * 4),  # pooling by 8 leaves 2 x 2
        (nets.small_cnn, (1, 32, 32), 10),
        (nets.small_cnn, (3, 17, 15), 10),
        (nets.lenet, (1, 28, 28), 32),
        (nets.lenet, (3, 32, 32), 128),
        (nets.dense_cnn, (1, 28, 28), 32),
        (nets.dense_cnn, (3, 32, 32), 256),
        (nets.dense_cnn, (3, 96, 64), 256),
        (nets.mlp, (7,), 16),
        (nets.mlp_8, (7,), 8),
        (nets.mlp_8_8, (7,), 8),
        (nets.softplus_mlp, (7,), 128),
        (nets.softplus_cnn, (1, 28, 28), 128),
        (nets.softplus_cnn, (3, 17, 15), 128),
    ],
)
def test_features(factory, shape, features):
    net = factory(shape)
    assert nets.features_of(net, shape) == features and net.training
    assert net(torch.rand(3, *shape)).shape == (3, features)


@pytest.mark.parametrize(
    "factory,shape,code",
    [
        (nets.lenet_autoencoder, (1, 28, 28), 32),
        (nets.lenet_autoencoder, (3, 32, 32), 64),
        (nets.lenet_autoencoder, (1, 17, 14), 32),
        (nets.lenet_autoencoder_5, (1, 28, 28), 5),
        (nets.lenet_autoencoder_5, (3, 32, 32), 5),
        (nets.dcae, (1, 28, 28), 32),
        (nets.dcae, (3, 32, 32), 128),
    ],
)
def test_lenet_autoencoder_draws_images_of_the_size_it_was_given(factory, shape, code):
    net = factory(shape).eval()
    z = net.encode(torch.rand(3, *shape))
    drawn = net.decode(z)
    assert z.shape == (3, code) and drawn.shape == (3, *shape) and 0 < drawn.min() and drawn.max() < 1


def test_lenet_autoencoder_mirrors_its_encoder():
    net = nets.lenet_autoencoder((3, 32, 32))
    kernels = [
        [tuple(layer.weight.shape) for layer in part.modules() if isinstance(layer, torch.nn.Conv2d)]
        for part in (net.encoder, net.decoder)
    ]
    assert kernels[0] == [(b, a, *size) for a, b, *size in reversed(kernels[1])] and len(kernels[0]) == 3


@pytest.mark.parametrize("size", [(14, 10), (15, 10)])  # doubled, and not
def test_upsampled_convolution_is_upsampling_then_convolution(size):
    layer = nets.UpsampledConv(3, 2, size).double()
    x = torch.randn(4, 3, 7, 5, dtype=torch.float64)
    plain = torch.nn.functional.conv2d(torch.nn.functional.interpolate(x, size), layer.weight, padding=2)
    torch.testing.assert_close(layer(x), plain)
    wanted, got = (torch.autograd.grad(y.square().sum(), layer.weight)[0] for y in (plain, layer(x)))
    torch.testing.assert_close(got, wanted)


def test_wide_resnet_starts_as_he_et_al():
    conv = nets.wrn_10_4((3, 32, 32)).blocks[2].conv2.weight  # 256 channels, 3 x 3
    assert conv.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.01)


def test_shortcut_reads_the_activated_tensor():
    block = nets.WideBlock(2, 3, 1).eval()
    for parameter in block.conv2.parameters():
        torch.nn.init.zeros_(parameter)  # what is left is the shortcut
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(block(x), block.shortcut(torch.relu(block.norm1(x))))


@pytest.mark.parametrize("depth", [9, 4, 12])
def test_wide_resnet_depth(depth):
    with pytest.raises(ValueError, match=f"depth={depth}"):
        nets.WideResNet((1, 32, 32), depth, 1)


@pytest.mark.parametrize("factory,shape", [(nets.mlp, (5,)), (nets.lenet, (1, 28, 28))])
def test_networks_of_deep_svdd_have_no_biases(factory, shape):
    net = factory(shape).eval()
    assert not any("bias" in name for name, _ in net.named_parameters())
    assert torch.equal(net(torch.zeros(2, *shape)), torch.zeros(2, nets.features_of(net, shape)))


def test_images_too_small_for_the_network():
    with pytest.raises(ValueError, match="4 x 4 are too small for the 3 poolings"):
        nets.lenet((3, 4, 4))


def test_a_net_must_give_rows_of_features():
    with pytest.raises(ValueError, match=r"\(1, 4, 8, 8\)"):
        nets.features_of(torch.nn.Conv2d(1, 4, 1), (1, 8, 8))
