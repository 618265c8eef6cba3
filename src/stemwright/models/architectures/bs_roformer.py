"""Band-Split RoFormer with rotary or polar position embeddings, the architecture of many published checkpoints.

The reference code loops over bands and passes the whole spectrogram through each layer at once. Here neighbouring bands
of equal width share one weight tensor, and on a CPU a transformer processes a few sequences at a time, so that its
activations stay in the cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stemwright.models.architectures.hyperace import SegmentationHead

_CPU_BLOCK_TOKENS = 8192
"""Tokens per block of a transformer on a CPU. Smaller blocks fit the cache, and one thread is fastest with 2048, but
threads synchronise after every block, and on a busy machine that costs more than the cache saves."""

_Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class BSRoformerOptions:
    """Hyperparameters of the network, with the names of published configurations and the defaults of published code.

    Attributes:
        dim: Channels of a token (one band of one frame).
        depth: Layers, each a transformer over time and one over bands.
        stereo: Stereo or mono audio.
        num_stems: Number of stems; each has its own mask estimator.
        time_transformer_depth: Blocks of attention and feed-forward in each transformer over time.
        freq_transformer_depth: The same, over bands.
        linear_transformer_depth: The same, over all tokens with attention between channels; 0 for none.
        freqs_per_bands: Bins of each band; their sum is the number of STFT bins.
        dim_head: Channels per attention head.
        heads: Attention heads.
        stft_n_fft: FFT size in samples.
        stft_hop_length: Hop size in samples.
        stft_win_length: Window length in samples.
        stft_normalized: Divide the STFT by the square root of its size.
        zero_dc: Set the DC bin of each stem to zero.
        mask_estimator_depth: Linear layers of a mask estimator.
        mlp_expansion_factor: Their hidden channels, in multiples of `dim`.
        skip_connection: Add the outputs of all earlier layers to the input of each layer.
        use_pope: Use polar position embeddings (PoPE) instead of rotary ones.
        hyperace: Add to each mask the one of a segmentation network (HyperACE v2). Published configurations do not say
            it; the checkpoint has tensors named `segm`.
    """

    dim: int
    depth: int
    stereo: bool = False
    num_stems: int = 1
    time_transformer_depth: int = 2
    freq_transformer_depth: int = 2
    linear_transformer_depth: int = 0
    freqs_per_bands: tuple[int, ...] = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)
    dim_head: int = 64
    heads: int = 8
    stft_n_fft: int = 2048
    stft_hop_length: int = 512
    stft_win_length: int = 2048
    stft_normalized: bool = False
    zero_dc: bool = True
    mask_estimator_depth: int = 2
    mlp_expansion_factor: int = 4
    skip_connection: bool = False
    use_pope: bool = False
    hyperace: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for bands that do not cover the spectrum."""
        bins = self.stft_n_fft // 2 + 1
        if sum(self.freqs_per_bands) != bins:
            raise ValueError(
                f"freqs_per_bands add up to {sum(self.freqs_per_bands)} bins, but stft_n_fft = {self.stft_n_fft} "
                f"has {bins}: take both from the same configuration"
            )

    @property
    def channels(self) -> int:
        """Audio channels: 2 or 1."""
        return 2 if self.stereo else 1


class BSRoformer(nn.Module):
    """Separates a mix with complex masks, estimated by a band-split transformer with rotary position embeddings.

    Lu, Wang, Kong, Hung: Music Source Separation with Band-Split RoPE Transformer (ICASSP 2024, arXiv:2309.02612).
    With `use_pope` the positions are those of Gopalakrishnan, Csordás, Schmidhuber, Mozer: Decoupling the "What" and
    "Where" With Polar Coordinate Positional Embeddings (arXiv:2509.10534).

    For inference only. The state dict has the names of published checkpoints. Weights stay float32; lower precision is
    left to autocast. There are no buffers, so a network created on the "meta" device only needs its weights.
    """

    def __init__(self, options: BSRoformerOptions) -> None:
        super().__init__()
        self.options = options
        widths = [bins * options.channels * 2 for bins in options.freqs_per_bands]  # per band: bins x channels x 2
        self.band_split = BandSplit(options.dim, widths)
        self.layers = nn.ModuleList(_layer(options) for _ in range(options.depth))
        self.final_norm = RMSNorm(options.dim)
        self.mask_estimators = nn.ModuleList(_estimator(options, widths) for _ in range(options.num_stems))

    @torch.no_grad()
    def forward(self, mix: Tensor) -> Tensor:
        """Separates a batch.

        Args:
            mix: `(batch, channels, samples)`, at the rate of the checkpoint.

        Returns:
            `(batch, stems, channels, samples)`, float32.

        Raises:
            ValueError: The mix has the wrong number of channels.
        """
        if mix.ndim != 3 or mix.shape[1] != self.options.channels:
            raise ValueError(
                f"this network takes (batch, {self.options.channels}, samples), and was given {tuple(mix.shape)}: "
                "give the mix the channels that the checkpoint was trained on"
            )
        samples = mix.shape[-1]
        stems = mix.new_empty(len(mix), len(self.mask_estimators), mix.shape[1], samples, dtype=torch.float32)
        if samples <= self.options.stft_n_fft // 2:  # the STFT pads half a frame by reflection at each end
            mix = functional.pad(mix, (0, self.options.stft_n_fft - samples))
        # One item at a time: a chunk of a few seconds has enough tokens for any device, and this saves memory.
        for one, separated in zip(mix.float(), stems, strict=True):
            self._separate(one, separated)
        return stems

    def _separate(self, mix: Tensor, separated: Tensor) -> None:
        """Separates `(channels, samples)` into `separated`, `(stems, channels, samples)`."""
        options = self.options
        window = torch.hann_window(options.stft_win_length, device=mix.device)
        sizes = (options.stft_n_fft, options.stft_hop_length, options.stft_win_length)
        spectrum = torch.stft(mix, *sizes, window=window, normalized=options.stft_normalized, return_complex=True)

        x = torch.view_as_real(spectrum).permute(2, 1, 0, 3).flatten(1)  # (frames, bins x channels x 2)
        x = self.band_split(x)  # (frames, bands, dim)
        self._attend(x)
        x = self.final_norm(x)

        for estimator, out in zip(self.mask_estimators, separated, strict=True):
            mask = estimator(x).view(len(x), -1, options.channels, 2)  # (frames, bins, channels, 2)
            stem = spectrum * torch.view_as_complex(mask).permute(2, 1, 0)  # (channels, bins, frames)
            if options.zero_dc:
                stem[:, 0] = 0
            sound = torch.istft(stem, *sizes, window=window, normalized=options.stft_normalized, length=mix.shape[-1])
            out.copy_(sound[:, : out.shape[-1]])

    def _attend(self, x: Tensor) -> None:
        """Passes `(frames, bands, dim)` through all layers, in place."""
        earlier = torch.zeros_like(x) if self.options.skip_connection else None
        for layer in self.layers:
            *linear, over_time, over_bands = layer.children()
            for transformer in linear:
                transformer(x.view(1, -1, x.shape[-1]))  # all tokens as one sequence
            if earlier is not None:
                x += earlier
            over_time(x.transpose(0, 1))  # (bands, frames, dim)
            over_bands(x)
            if earlier is not None:
                earlier += x


def _layer(options: BSRoformerOptions) -> nn.ModuleList:
    layer = nn.ModuleList()
    if options.linear_transformer_depth:
        layer.append(Transformer(options, options.linear_transformer_depth, LinearAttention))
    layer.append(Transformer(options, options.time_transformer_depth, Attention))
    layer.append(Transformer(options, options.freq_transformer_depth, Attention))
    return layer


class RMSNorm(nn.Module):
    """RMS normalisation with a learned gain for each channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """`(..., dim)` to `(..., dim)`, in the dtype of the matrix products that follow."""
        return _scaled(x, self.gamma).to(_product_dtype(x))


def _scaled(x: Tensor, gamma: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-12)  # digital silence stays silence
    x = x * (x.shape[-1] ** 0.5 / norm)
    x *= gamma
    return x


def _product_dtype(x: Tensor) -> torch.dtype:
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class RotaryEmbedding(nn.Module):
    """Rotary position embedding: rotates pairs of neighbouring channels by an angle proportional to the position."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.freqs = nn.Parameter(10000.0 ** -(torch.arange(0, dim, 2) / dim), requires_grad=False)

    def forward(self, queries_keys: Tensor) -> Tensor:
        """`(sequences, length, 2, heads, dim)` to the same."""
        angles = torch.arange(queries_keys.shape[1], device=self.freqs.device)[:, None] * self.freqs.float()
        turn = torch.polar(torch.ones_like(angles), angles)[:, None, None]  # (length, 1, 1, dim / 2)
        pairs = torch.view_as_complex(queries_keys.float().view(*queries_keys.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turn).flatten(-2).to(queries_keys.dtype)


class PolarEmbedding(nn.Module):
    """Polar position embedding: each channel is the magnitude of a complex number whose phase depends on the position.

    Keys have a learned phase offset.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.register_buffer("inv_freqs", 10000.0 ** -(torch.arange(dim) / dim))
        self.bias = nn.Parameter(torch.zeros(heads, dim))

    def forward(self, queries_keys: Tensor) -> Tensor:
        """`(sequences, length, 2, heads, dim)` to `(sequences, length, 2, heads, 2 dim)`."""
        inv_freqs = self.get_buffer("inv_freqs").float()
        angles = torch.arange(queries_keys.shape[1], device=inv_freqs.device)[:, None, None] * inv_freqs
        lag = self.bias.float().clamp(-2 * torch.pi, 0)
        angles = torch.stack([angles.expand(-1, len(lag), -1), angles + lag], dim=1)  # (length, 2, heads, dim)
        turn = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))
        magnitudes = functional.softplus(queries_keys.float()).unsqueeze(-1)
        return (magnitudes * turn).flatten(-2).to(queries_keys.dtype)


class Attention(nn.Module):
    """Self-attention along a sequence, with a gate for each head."""

    def __init__(self, options: BSRoformerOptions) -> None:
        super().__init__()
        self.heads = options.heads
        self.dim_head = options.dim_head
        inner = options.heads * options.dim_head
        # One per attention, as in the state dict, although all are equal in published weights.
        self.rotary_embed = None if options.use_pope else RotaryEmbedding(options.dim_head)
        self.pope_embed = PolarEmbedding(options.dim_head, options.heads) if options.use_pope else None
        self.norm = RMSNorm(options.dim)
        self.to_qkv = nn.Linear(options.dim, inner * 3, bias=False)
        self.to_gates = nn.Linear(options.dim, options.heads)
        self.to_out = nn.Sequential(nn.Linear(inner, options.dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """`(sequences, length, dim)` to the same."""
        x = self.norm(x)
        qkv = self.to_qkv(x).view(*x.shape[:2], 3, self.heads, self.dim_head)  # (sequences, length, 3, heads, dim_head)
        queries_keys, v = qkv[:, :, :2], qkv[:, :, 2].transpose(1, 2)
        if self.rotary_embed:
            queries_keys = self.rotary_embed(queries_keys)
        if self.pope_embed:
            queries_keys = self.pope_embed(queries_keys)
            v = functional.pad(v, (0, self.dim_head))  # fused attention needs values as wide as keys
        q, k = queries_keys.transpose(1, 3).unbind(2)  # (sequences, heads, length, channels)
        out = functional.scaled_dot_product_attention(q, k, v, scale=self.dim_head**-0.5)
        out = out.transpose(1, 2)[..., : self.dim_head] * self.to_gates(x).sigmoid().unsqueeze(-1)
        return self.to_out(out.flatten(2))  # type: ignore[no-any-return]


class LinearAttention(nn.Module):
    """Cross-covariance attention, between the channels of a head: El-Nouby et al., XCiT (arXiv:2106.09681)."""

    def __init__(self, options: BSRoformerOptions) -> None:
        super().__init__()
        self.heads = options.heads
        inner = options.heads * options.dim_head
        self.norm = RMSNorm(options.dim)
        self.to_qkv = nn.Sequential(nn.Linear(options.dim, inner * 3, bias=False))
        self.temperature = nn.Parameter(torch.ones(options.heads, 1, 1))
        self.to_out = nn.Sequential(nn.Identity(), nn.Linear(inner, options.dim, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """`(sequences, length, dim)` to the same."""
        qkv = self.to_qkv(self.norm(x)).view(*x.shape[:2], 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 4, 1)  # each (sequences, heads, dim_head, length)
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        likeness = q @ k.mT  # (sequences, heads, dim_head, dim_head)
        out = (likeness * (8 * self.temperature.exp())).softmax(-1).to(v.dtype) @ v
        return self.to_out(out.permute(0, 3, 1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two linear layers with four times the channels between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # Published code has a dropout layer here, so the numbers in the names of the weights skip one.
        self.net = nn.Sequential(
            RMSNorm(dim), nn.Linear(dim, dim * 4), nn.GELU(), nn.Identity(), nn.Linear(dim * 4, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(..., dim)` to the same."""
        return self.net(x)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Blocks of attention and feed-forward along sequences."""

    def __init__(self, options: BSRoformerOptions, depth: int, attention: type[Attention | LinearAttention]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList([attention(options), FeedForward(options.dim)]) for _ in range(depth))

    def forward(self, x: Tensor) -> None:
        """Changes `(sequences, length, dim)` in place."""
        at_once = max(1, _CPU_BLOCK_TOKENS // x.shape[1]) if x.device.type == "cpu" else len(x)
        for block in torch.split(x, at_once):
            y = block.clone(memory_format=torch.contiguous_format)
            for layer in self.layers:
                attention, feed_forward = layer.children()
                y += attention(y)
                y += feed_forward(y)
            block.copy_(y)


class Bands(nn.Module):
    """A small network for each band. Neighbouring bands of equal width share one weight tensor, bands first.

    In the state dict each band has its own weights, under published names. Loading stacks them, and `state_dict`
    returns views.
    """

    def __init__(self, published: str, widths: Sequence[int], shapes: Callable[[int], _Shapes]) -> None:
        """Allocates the weights.

        Args:
            published: Published name of the list of bands.
            widths: Width of each band.
            shapes: Maps the width of a band to the names and shapes of its weights.
        """
        super().__init__()
        self.published = published
        self.runs = [(width, len(list(run))) for width, run in itertools.groupby(widths)]
        self.groups = nn.ModuleList(
            nn.ParameterDict(
                {name.replace(".", "_"): torch.zeros(count, *shape) for name, shape in shapes(width).items()}
            )
            for width, count in self.runs
        )
        self.register_state_dict_post_hook(_unstack)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_stack)  # type: ignore[no-untyped-call]

    def parts(self, at_once: int) -> Iterator[tuple[dict[str, Tensor], slice, slice]]:
        """Yields the weights of up to `at_once` bands of equal width, their indices, and their columns."""
        band = column = 0
        for group, (width, count) in zip(self._groups(), self.runs, strict=True):
            for first in range(0, count, at_once):
                some = min(at_once, count - first)
                weights = {name: weight[first : first + some] for name, weight in group.items()}
                yield weights, slice(band, band + some), slice(column, column + width * some)
                band += some
                column += width * some

    def names(self, prefix: str) -> Iterator[tuple[str, Tensor, list[str]]]:
        """Yields the name of each stacked weight, the weight, and the published names of its bands."""
        band = 0
        for number, (group, (_, count)) in enumerate(zip(self._groups(), self.runs, strict=True)):
            for name, weight in group.items():
                within = name.replace("_", ".")
                published = [f"{prefix}{self.published}.{band + i}.{within}" for i in range(count)]
                yield f"{prefix}groups.{number}.{name}", weight, published
            band += count

    def _groups(self) -> Iterator[dict[str, Tensor]]:
        for group in self.groups:
            yield dict(group.named_parameters())


def _unstack(bands: Bands, state_dict: dict[str, Tensor], prefix: str, _metadata: object) -> None:
    for own, _, published in bands.names(prefix):
        state_dict.update(zip(published, state_dict.pop(own).unbind(), strict=True))


def _stack(
    bands: Bands,
    state_dict: dict[str, Tensor],
    prefix: str,
    _metadata: object,
    _strict: bool,
    missing_keys: list[str],
    _unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    for own, weight, published in bands.names(prefix):
        shape = weight.shape[1:]
        given = {name: state_dict.pop(name) for name in published if name in state_dict}
        missing = [name for name in published if name not in given]
        misshapen = [name for name in given if given[name].shape != shape]
        missing_keys += missing
        error_msgs += [f"{name} is {tuple(given[name].shape)}, where {tuple(shape)} is wanted" for name in misshapen]
        state_dict[own] = weight if missing or misshapen else torch.stack(list(given.values()))


class BandSplit(Bands):
    """Projects the bins of each band to a token."""

    def __init__(self, dim: int, widths: Sequence[int]) -> None:
        super().__init__(
            "to_features", widths, lambda width: {"0.gamma": (width,), "1.weight": (dim, width), "1.bias": (dim,)}
        )
        self.shape = (len(widths), dim)

    def forward(self, x: Tensor) -> Tensor:
        """`(frames, bins x channels x 2)` to `(frames, bands, dim)`, in float32, which costs little here."""
        tokens = x.new_empty(len(x), *self.shape)
        with torch.autocast(x.device.type, enabled=False):
            for weights, bands, columns in self.parts(at_once=len(x)):
                inputs = x[:, columns].view(len(x), bands.stop - bands.start, -1).transpose(0, 1)
                inputs = _scaled(inputs, weights["0_gamma"].unsqueeze(1))  # (bands, frames, width)
                outputs = torch.baddbmm(weights["1_bias"].unsqueeze(1), inputs, weights["1_weight"].mT)
                tokens[:, bands] = outputs.transpose(0, 1)
        return tokens


class MaskEstimator(Bands):
    """Estimates a complex mask for the bins of each band from its token."""

    def __init__(self, dim: int, widths: Sequence[int], depth: int, expansion: int) -> None:
        def shapes(width: int) -> _Shapes:
            dims = [dim, *[dim * expansion] * (depth - 1), width * 2]
            weights: _Shapes = {f"0.{2 * i}.weight": (dims[i + 1], dims[i]) for i in range(depth)}
            return weights | {f"0.{2 * i}.bias": (dims[i + 1],) for i in range(depth)}

        super().__init__("to_freqs", widths, shapes)
        self.depth = depth
        self.width = sum(widths)

    def forward(self, x: Tensor) -> Tensor:
        """`(frames, bands, dim)` to `(frames, bins x channels x 2)`, in float32."""
        mask = x.new_empty(len(x), self.width, dtype=torch.float32)
        at_once = 1 if x.device.type == "cpu" else self.width  # the hidden channels of one band fill the cache
        for weights, bands, columns in self.parts(at_once):
            y = x[:, bands].transpose(0, 1)  # (bands, frames, dim)
            for layer in range(self.depth):
                y = y.tanh() if layer else y
                y = torch.baddbmm(weights[f"0_{2 * layer}_bias"].unsqueeze(1), y, weights[f"0_{2 * layer}_weight"].mT)
            mask[:, columns] = functional.glu(y).transpose(0, 1).flatten(1)  # (frames, bands x width)
        return mask


class SegmentedMaskEstimator(MaskEstimator):
    """A mask estimator whose mask is the sum of that and of a segmentation network's, which sees all bands and frames."""

    def __init__(self, dim: int, widths: Sequence[int], depth: int, expansion: int, channels: int) -> None:
        super().__init__(dim, widths, depth, expansion)
        self.segm = SegmentationHead(dim, len(widths), sum(widths) // (2 * channels), 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(frames, bands, dim)` to `(frames, bins x channels x 2)`, in float32."""
        return super().forward(x) + self.segm(x)  # type: ignore[no-any-return]


def _estimator(options: BSRoformerOptions, widths: Sequence[int]) -> MaskEstimator:
    sizes = (options.dim, widths, options.mask_estimator_depth, options.mlp_expansion_factor)
    return SegmentedMaskEstimator(*sizes, options.channels) if options.hyperace else MaskEstimator(*sizes)


def heads(state_dict: Mapping[str, Tensor], indices: Sequence[int]) -> dict[str, Tensor]:
    """Keeps some mask estimators of a checkpoint, so that a network with fewer stems can load it.

    Args:
        state_dict: Weights of a network with many stems, under published names.
        indices: Stems to keep, in the order of the new network.

    Returns:
        The shared layers and these mask estimators, renumbered from 0. Tensors are shared, not copied.

    Raises:
        ValueError: The checkpoint has no such stem.
    """
    kept: dict[str, Tensor] = {}
    estimators: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state_dict.items():
        if key.startswith("mask_estimators."):
            _, index, rest = key.split(".", 2)
            estimators.setdefault(int(index), {})[rest] = tensor
        else:
            kept[key] = tensor
    if lost := [index for index in indices if index not in estimators]:
        raise ValueError(f"the checkpoint has {len(estimators)} stems, numbered from 0: there is none at {lost}")
    for number, chosen in enumerate(indices):
        kept |= {f"mask_estimators.{number}.{rest}": tensor for rest, tensor in estimators[chosen].items()}
    return kept
