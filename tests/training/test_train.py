import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch

from stemwright.evaluation.oracle import oracle_errors
from stemwright.models import registry
from stemwright.models.bands import BANDS_384
from stemwright.models.runtimes.onnx import OnnxMaskEngine
from stemwright.stems import SINGING, STEMS
from training import score
from training.checkpoints import from_onnx, onnx_export
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import build_ensemble
from training.data import features
from training.data.spectrogram import Batch
from training.network import loss
from training.network.designs import build
from training.network.ensemble import NetworkEnsemble
from training.network.logit_bias import LogitBias
from training.network.loss import band_widths
from training.network.unet import NetworkShape, UNet
from training.train import TrainingRun, TrainingSettings

pytestmark = pytest.mark.training

TINY = replace(NetworkShape(), widths=(8, 8, 8, 8, 8, 8))
SPLIT = NetworkShape(design="split")
INSTANCE = NetworkShape(design="instance-split")
RECIPE = TrainingSettings(minutes=1, warm_up_steps=1, compile=False)


def fixed_batch() -> Batch:
    """Bass below, drums above."""
    magnitudes = torch.zeros(2, 12, 2, 384, 128)
    magnitudes[:, STEMS.index("bass"), :, :100] = 3
    magnitudes[:, STEMS.index("drums"), :, 100:] = 1
    powers = magnitudes.sum(1)[:, [0, 1, 0, 1]] ** 2
    powers[:, 3] = 0
    return replace(Batch.empty(2, 128), powers=powers, magnitudes=magnitudes)  # nobody sings


PHASE_SHAPE = NetworkShape.seeing("phase", "small-split")


def new_run(folder: Path, *, resume: bool = False) -> TrainingRun:
    torch.manual_seed(1)
    folder.mkdir(exist_ok=True)
    return TrainingRun(folder, RECIPE, TINY, torch.device("cpu"), resume)


def test_steps_on_one_batch_lower_its_loss(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    losses = [float(run.train_step(fixed_batch())) for _ in range(6)]
    assert losses[-1] < losses[1] < losses[0]


def test_a_resumed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(3):
        run.train_step(fixed_batch())
    run.checkpoint().save(run.path)
    expected = run.train_step(fixed_batch())
    resumed = new_run(tmp_path, resume=True)
    assert resumed.step == 3
    assert torch.allclose(resumed.train_step(fixed_batch()), expected, atol=1e-5)
    for name, value in run.average.state.items():
        assert torch.allclose(resumed.average.state[name].float(), value.float(), atol=1e-4), name


def test_a_network_that_broke_does_not_replace_its_checkpoint(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.train_step(fixed_batch())
    run.save()
    whole = run.path.read_bytes()
    with torch.no_grad():
        next(run.network.parameters()).view(-1)[3] = float("nan")
    with pytest.raises(FloatingPointError, match="After 1 steps weights are NaN"):
        run.save()
    assert run.path.read_bytes() == whole


def test_the_rate_warms_up_stays_and_falls() -> None:
    settings = TrainingSettings(minutes=100, warm_up_steps=10, decay_fraction=0.25, learning_rate=1.0)
    assert [
        settings.learning_rate_at(0, 0),
        settings.learning_rate_at(50, 50),
        settings.learning_rate_at(99, 87.5),
    ] == [0.1, 1.0, 0.5]
    assert settings.learning_rate_at(999, 101) == 0.02


def test_a_network_that_sees_what_the_separator_does_not_compute_is_not_exported(tmp_path: Path) -> None:
    state = build(PHASE_SHAPE).state_dict()
    with pytest.raises(ValueError, match="does not compute the cue 'phase': take it away with"):
        onnx_export.export([Checkpoint(PHASE_SHAPE, state, state, {})], tmp_path / "phase.onnx")
    assert not (tmp_path / "phase.onnx").exists()


def test_what_is_exported_computes_as_torch_does(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for _ in range(3):
        run.train_step(fixed_batch())
    checkpoint = run.checkpoint()
    path = tmp_path / "tiny.onnx"
    assert onnx_export.export([checkpoint], path) < 1e-5
    # Against the network itself: only the rounding to half precision lies between.
    exact = onnx_export.MaskModel(build_ensemble([checkpoint])).eval()
    assert onnx_export.max_difference(exact, path, frames=256) < 5e-3
    stored = sum(len(weights.raw_data) for weights in onnx.load(path).graph.initializer)
    assert stored < 2.2 * sum(weight.numel() for weight in UNet(TINY).parameters())


def make_all_weights_differ(run: TrainingRun) -> None:
    """For two tensors that are equal are stored as one."""
    with torch.no_grad():
        for parameter in run.network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))


@pytest.mark.parametrize(
    "shape",
    [
        INSTANCE,  # the kind that ships
        *(
            pytest.param(shape, marks=pytest.mark.long)
            for shape in (TINY, replace(TINY, residuals=(0, 0, 1, 3, 2, 2), gates_from=3), SPLIT)
        ),
    ],
)
def test_a_network_taken_from_its_export_computes_and_learns_as_before(tmp_path: Path, shape: NetworkShape) -> None:
    run = TrainingRun(tmp_path, RECIPE, shape, torch.device("cpu"), False)
    make_all_weights_differ(run)
    for _ in range(3):
        run.train_step(fixed_batch())
    path = tmp_path / "tiny.onnx"
    onnx_export.export([run.checkpoint()], path)
    (member,) = from_onnx.read_networks(path.read_bytes())
    assert member.step == 3 and member.shape == shape
    network = from_onnx.unfold_batch_norms(member.tensors, shape)
    assert onnx_export.max_difference(onnx_export.MaskModel(NetworkEnsemble([network])).eval(), path) < 1e-5
    from_onnx.restore_batch_norms(network, [fixed_batch()])
    assert onnx_export.max_difference(onnx_export.MaskModel(NetworkEnsemble([network])).eval(), path) < 1e-5
    # In training, norms use what is in the batch: the very statistics that were measured.
    seen = features.features(fixed_batch().powers)
    with torch.no_grad():
        evaluated, trained = network.eval()(seen), network.train()(seen)
    assert float((evaluated - trained).abs().mean()) < 0.05 * float(evaluated.std())


def test_another_networks_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    onnx_export.export([new_run(tmp_path).checkpoint()], path)
    (member,) = from_onnx.read_networks(path.read_bytes())
    with pytest.raises(ValueError, match="another network"):
        from_onnx.unfold_batch_norms(member.tensors, NetworkShape())


def test_an_ensemble_is_exported_as_one_file_that_holds_each_network(tmp_path: Path) -> None:
    torch.manual_seed(4)
    checkpoints = []
    for shape in (TINY, SPLIT):
        run = TrainingRun(tmp_path, RECIPE, shape, torch.device("cpu"), False)
        make_all_weights_differ(run)
        run.train_step(fixed_batch())
        checkpoints.append(run.checkpoint())
    path = tmp_path / "both.onnx"
    assert onnx_export.export(checkpoints, path, LogitBias({"fx": -0.5})) < 1e-5
    networks = [
        from_onnx.unfold_batch_norms(member.tensors, member.shape)
        for member in from_onnx.read_networks(path.read_bytes())
    ]
    assert [type(network) for network in networks] == [type(one.averaged_network()) for one in checkpoints]
    seen = torch.randn(1, 4, 384, 64)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        votes = torch.stack([network(seen)[0].log_softmax(0) for network in networks])  # (members, stems, ...)
    least = votes[:, : len(SINGING)].amin(0)  # a voice is what all of them take for one
    wanted = torch.cat([least, votes[:, len(SINGING) :].mean(0)]).softmax(0)
    assert np.abs(session.run(None, {"features": seen.numpy()})[0] - wanted.numpy()).max() < 1e-5
    weighted = build_ensemble(checkpoints, LogitBias({"fx": -0.5}), (3, 1))
    onnx_export.fold_batch_norms(weighted)
    rest = 0.75 * votes[0, len(SINGING) :] + 0.25 * votes[1, len(SINGING) :]
    with torch.no_grad():
        masks = weighted(seen)[0].softmax(0)
    torch.testing.assert_close(masks, torch.cat([least, rest]).softmax(0), rtol=1e-3, atol=1e-5)


def test_biases_are_stored_in_the_file_and_can_be_removed_from_its_networks(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    make_all_weights_differ(run)
    run.train_step(fixed_batch())
    path, known = tmp_path / "tiny.onnx", LogitBias({"fx": -2.0}, {"vocals": 150.0})
    trained = run.checkpoint()
    onnx_export.export([trained], path, known)
    (member,) = from_onnx.read_networks(path.read_bytes())
    assert member.bias == known
    network, wanted = (
        from_onnx.unfold_batch_norms(member.tensors, member.shape),
        trained.averaged_network().prior.detach(),
    )
    assert float((network.prior.detach() - wanted).abs().max()) > 4
    member.bias.remove(network)
    torch.testing.assert_close(network.prior.detach(), wanted, rtol=0, atol=0.02)  # halves of numbers up to 16


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.0), (1.0, 2.0, 3.0)])
def test_an_ensemble_needs_a_weight_for_each_checkpoint_or_none(tmp_path: Path, weights: tuple[float, ...]) -> None:
    one = new_run(tmp_path).checkpoint()
    with pytest.raises(ValueError, match="There are 2 checkpoints"):
        build_ensemble([one, one], weights=weights)


def test_the_separator_hears_as_much_at_once_as_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    onnx_export.export([new_run(tmp_path).checkpoint()], path, chunk_frames=256)
    engine = OnnxMaskEngine(registry.find("stemwright-12"), path.read_bytes(), device="cpu", threads=1)
    assert (engine.chunk.length, engine.chunk.overlap) == (256, 64)


def test_the_error_is_that_of_masks_on_the_spectrum() -> None:
    """Noise for a voice and noise behind it, any masks: the banded sums give the energy of m X - S that the bins give."""
    rng = torch.Generator().manual_seed(3)
    spectra = torch.randn(2, 2, 4, 2049, generator=rng, dtype=torch.complex64)  # (stems, channels, frames, bins)
    mixture = spectra.sum(0)
    chosen = [STEMS.index("vocals"), STEMS.index("synth")]
    shape = (1, 12, 2, 384, 4)
    magnitudes, masks = torch.zeros(shape), torch.zeros(shape)
    for index, one in zip(chosen, spectra, strict=True):
        magnitudes[0, index] = features.band_power(one).sqrt().transpose(-1, -2)
    masks[0, chosen[0]] = torch.rand(2, 384, 4, generator=rng)
    masks[0, chosen[1]] = 1 - masks[0, chosen[0]]
    expected = []
    for index, one in zip(chosen, spectra, strict=True):
        spread = torch.cat(
            [
                masks[0, index, :, band : band + 1].repeat_interleave(int(width), 1)
                for band, width in enumerate(BANDS_384.widths)
            ],
            1,
        ).transpose(-1, -2)  # (channels, frames, bins but the last)
        left = (spread * mixture[..., :-1] - one[..., :-1]).abs().square().sum()
        expected.append((left / one[..., :-1].abs().square().sum()).log())
    cross_power = features.band_cross_power(spectra[0], mixture).transpose(-1, -2)[None]
    batch = Batch.empty(1, 4)
    batch = replace(batch, powers=features.planes(mixture)[None], magnitudes=magnitudes, cross_power=cross_power)
    wrong = loss.singing_error(masks, batch, band_widths(torch.device("cpu")))
    assert float(wrong) == pytest.approx(float(sum(expected)) / 2, rel=0.02)


def unknown_batch(absent: tuple[str, ...]) -> Batch:
    """``fixed_batch`` as a recording in which nobody knows what is played, but what is not."""
    known = fixed_batch()
    possible = torch.tensor([float(stem not in absent) for stem in STEMS]).expand(2, -1)
    silent = torch.zeros_like(known.magnitudes)
    return replace(known, magnitudes=silent, unlabelled=known.magnitudes.sum(1), possible=possible)


def masks_of(*stems: str) -> torch.Tensor:
    """Equal masks of these stems, hardly any of the others."""
    masks = torch.full((2, 12, 2, 384, 128), 1e-4)
    masks[:, [STEMS.index(stem) for stem in stems]] = 1 / len(stems)
    return masks / masks.sum(1, keepdim=True)


@pytest.mark.parametrize("present", [("drums",), ("guitar", "fx")])
def test_any_stem_will_do_for_what_may_be_any_but_no_singing(present: tuple[str, ...]) -> None:
    batch, widths = unknown_batch(SINGING), band_widths(torch.device("cpu"))

    def value(*stems: str) -> float:
        masks = masks_of(*stems)
        return float(loss.cross_entropy(masks.log(), batch, widths) + loss.singing_error(masks, batch, widths))

    right, wrong = value(*present), value(*present, "vocals")
    assert right == pytest.approx(value("bass"), abs=1e-3)
    assert wrong > right + 0.5


def test_stems_that_may_be_it_rise_together_and_the_others_fall_each_by_itself() -> None:
    batch, widths = unknown_batch(SINGING), band_widths(torch.device("cpu"))
    logits = torch.randn(2, 12, 2, 384, 128, generator=torch.Generator().manual_seed(2), requires_grad=True)
    shared = loss.tie_unlabelled_logits(logits, batch.possible)
    assert torch.equal(shared, logits)
    loss.cross_entropy(shared.log_softmax(1), batch, widths).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    singing, others = logits.grad[:, :2], logits.grad[:, 2:]
    assert torch.allclose(others, others[:, :1].expand_as(others)) and (others <= 0).all()
    assert (singing >= 0).all() and not torch.allclose(singing[:, 0], singing[:, 1])
    known = loss.tie_unlabelled_logits(logits, torch.zeros_like(batch.possible))
    assert torch.equal(known, logits)


def test_where_it_may_be_singing_or_not_there_is_no_error_of_singing() -> None:
    batch, widths = unknown_batch(("guitar",)), band_widths(torch.device("cpu"))
    assert float(loss.singing_error(masks_of("vocals"), batch, widths)) == 0
    surprises = [
        float(loss.cross_entropy(masks_of(stem).log(), batch, widths)) for stem in ("vocals", "drums", "guitar")
    ]
    assert surprises[0] == pytest.approx(surprises[1], abs=1e-3)
    assert surprises[2] > 5


def test_the_points_of_a_quiet_stem_have_weight_too() -> None:
    """A loud bass below band 64, a guitar 40 dB softer above; all else is silent."""
    batch, widths = Batch.empty(2, 4), band_widths(torch.device("cpu"))
    for stem, bands, level in (("bass", slice(0, 64), 1.0), ("guitar", slice(64, 128), 0.01)):
        batch.magnitudes[0, STEMS.index(stem), :, bands] = level
        batch.powers[0, :2, bands] = level**2
    weights = loss.point_weights(batch, widths)
    assert float(weights[0].sum()) == pytest.approx(1) and float(weights[1].sum()) == 0
    assert float(weights[0, :, 64:128].sum()) == pytest.approx(0.25 + 0.5 * 0.01 / 1.01, abs=0.01)
    assert float(weights[0, :, 128:].abs().max()) == 0
    hum = replace(batch, magnitudes=batch.magnitudes.clone())
    hum.magnitudes[0, STEMS.index("fx")] = 1e-7  # too soft to play: it takes no weight
    assert torch.allclose(loss.point_weights(hum, widths), weights, atol=1e-6)


def test_absent_stems_are_left_out_of_two_mixes_of_three() -> None:
    batch = Batch.empty(4, 2)
    batch.magnitudes[:, [STEMS.index("drums"), STEMS.index("brass")]] = 0.1
    batch.possible[1, STEMS.index("synth")] = 1  # a recording that may contain it
    masks = loss.leave_out_absent(torch.zeros(4, 12, 2, 384, 2), batch).softmax(1)
    kept = [[stem for stem, mask in zip(STEMS, each[:, 0, 0, 0], strict=True) if mask > 1e-3] for each in masks]
    assert kept == [["drums", "brass"], ["drums", "brass", "synth"], list(STEMS), ["drums", "brass"]]


@pytest.mark.long
def test_two_workers_train_from_the_command_line_and_go_on(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "corpus" / f"song-{number}").mkdir(parents=True)
        for stem in ("vocals", "bass", "not-vocals-backing_vocals"):
            noise = 0.1 * np.random.default_rng(number).normal(0, 1, (4 * 44_100, 2))
            soundfile.write(tmp_path / "corpus" / f"song-{number}" / f"{stem}.flac", noise, 44_100)
    command = [
        sys.executable,
        "-m",
        "training.train",
        "--corpus",
        str(tmp_path / "corpus"),
        "--run",
        str(tmp_path / "run"),
    ]
    command += ["--workers", "2", "--no-compile", "--batch", "1", "--frames", "128"]

    def train(minutes: float, *more: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, "--minutes", str(minutes), *more], capture_output=True, text=True, timeout=240, check=False
        )
        return done.returncode, done.stderr

    assert train(0.02) == (0, "")
    first = Checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert train(first.minutes + 0.02, "--resume") == (0, "")
    second = Checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert second.step > first.step > 0 and second.shape.design == "short-instance-split"
    code, words = train(0.01, "--resume")
    assert code == 0 and "was trained for" in words
    assert Checkpoint.load(tmp_path / "run" / "checkpoint.pt").step == second.step
    code, words = train(1)
    assert code == 2 and "--resume" in words


@pytest.fixture
def song(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    folder = tmp_path / "songs" / "song"
    folder.mkdir(parents=True)
    time = np.arange(44_100) / 44_100
    for stem, tone in (("vocals", 0.3 * np.sin(2 * np.pi * 440 * time)), ("drums", rng.normal(0, 0.01, 44_100))):
        soundfile.write(folder / f"{stem}.wav", np.stack([tone, tone], 1), 44_100, subtype="FLOAT")
    return folder.parent


def test_the_mix_scores_as_itself_and_the_oracle_high(song: Path) -> None:
    def everything(mixture: np.ndarray) -> np.ndarray:
        return np.stack([mixture, *[np.zeros_like(mixture)] * 11])

    (sum_parts,) = score.score(song, everything)
    assert sum_parts.sdr_db["vocals"] == pytest.approx(sum_parts.mix_db["vocals"])
    assert sum_parts.sdr_db["drums"] == pytest.approx(0)  # silence
    assert sum_parts.shares["vocals"][0] == pytest.approx(1)

    from stemwright.evaluation.reference_songs import find_songs

    blocks = np.concatenate(list(find_songs(song)[0].blocks()), axis=-1)
    errors = np.concatenate(list(oracle_errors([blocks])), axis=-1)[..., : blocks.shape[-1]]

    def oracle(mixture: np.ndarray) -> np.ndarray:
        estimates = np.zeros((12, *mixture.shape), np.float32)
        estimates[[0, 2]] = blocks + errors
        return estimates

    (best,) = score.score(song, oracle)
    assert best.sdr_db["vocals"] > 20
    assert best.sdr_db["drums"] > sum_parts.mix_db["drums"] + 20
    assert "vocals" in score.table([best]) and "vocals" in score.confusion([best])


def test_stems_alone_are_songs_of_their_own(song: Path) -> None:
    def to_drums(mixture: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros_like(mixture)] * 2 + [mixture] + [np.zeros_like(mixture)] * 9)

    scores = score.score(song, to_drums, alone=True)
    assert [one.name for one in scores] == ["song/vocals", "song/drums"]
    assert not any(one.counts for one in scores)
    assert all(one.shares[one.name[5:]][STEMS.index("drums")] == pytest.approx(1) for one in scores)


def test_estimates_of_a_network_add_up_to_the_mixture() -> None:
    mixture = np.random.default_rng(6).normal(0, 0.1, (2, 30_001)).astype(np.float32)
    estimates = score.separate(UNet(TINY).eval(), mixture)
    assert estimates.shape == (12, *mixture.shape)
    assert np.abs(estimates.sum(0) - mixture).max() < 1e-5
