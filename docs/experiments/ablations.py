"""Questions to small runs, three seeds each: what ASE's terms do, what the warm start saves, how large a net is needed.

python docs/experiments/ablations.py terms --out results.jsonl         # from cloned networks; see ablations.md
python docs/experiments/ablations.py faint --out results.jsonl         # from such that hear it faintly, and get up
python docs/experiments/ablations.py from_scratch --out results.jsonl  # from fresh ones, as published
python docs/experiments/ablations.py warm_start --out results.jsonl    # see warm-start.md
python docs/experiments/ablations.py widths --out results.jsonl        # see network-sizes.md
python docs/experiments/ablations.py table --out results.jsonl

One line of JSON per run; runs that have theirs are not done again. `--million 0.02 --seeds 0` is a try of minutes.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from anyskill_brax.character.humanoid import load_character
from anyskill_brax.evaluate.controller import coverage, imitation, robustness, sphere
from anyskill_brax.evaluate.controller.clips import Clips
from anyskill_brax.evaluate.controller.stage import Stage, held
from anyskill_brax.low_level import lessons, run, warm_start
from anyskill_brax.low_level import train as trainer
from anyskill_brax.low_level.devices import ALONE
from anyskill_brax.low_level.stage import Stage as TrainingStage
from anyskill_brax.motion.synthesis import builtin_motions
from anyskill_brax.networks import sample_latents

sys.path.insert(0, str(Path(__file__).parents[2] / "configs"))
import low_level as config_file

SMALL = {
    "networks.latent_dim": 16,
    "networks.actor": (256, 128),
    "networks.critic": (128, 64),
    "networks.discriminator": (128, 64),
    "networks.encoder": (128, 64),
    "learner.num_worlds": 128,
    "learner.minibatch": 1024,
    "learner.disc_batch": 512,
    "learner.replay": 20_000,
    "learner.replay_insert": 512,
    "learner.actor_lr": 2e-4,
    "learner.sigma": 0.05,
    "learner.actor_rest": 60,  # five updates
    "learner.actor_rise": 60,
    "start.num_fall_states": 128,
    "start.fall_refresh": 0,
    "warm_start.encoder_steps": 500,
    "warm_start.encoder_batch": 512,
    "warm_start.num_worlds": 256,
    "warm_start.rounds": 40,
    "warm_start.steps": 50,
    "warm_start.batch": 1024,
}
ASE = {  # the published objective alone: no tracking, every latent of the sphere
    "reward.tracking_fade": (-1.0, 0.0),
    "reward.follow_share": (0.0, 0.0),
    "reward.weights.discovery": 0.5,
    "start.pose_share": 0.0,
    "start.motion_latent_share": 0.0,
    "start.fall_share": 0.1,
    "start.recovery_share": 0.2,
    "start.recovery_steps": 60,
}
TERMS = {
    "full": ASE,
    "no discovery": ASE | {"reward.weights.discovery": 0.0},
    "no diversity": ASE | {"learner.diversity": 0.0},
    "no recovery": ASE | {"start.fall_share": 0.0, "start.recovery_share": 0.0},
}
FRESH = {"learner.actor_rest": 0, "learner.actor_rise": 1}
STARTS = {
    "cloned, then tracking leads": {},
    "tracking leads": FRESH,
    "neither": FRESH | ASE,
}
RISING = ASE | {  # lessons beforehand, as preset `rising` has them
    "reward.weights.rising": 1.0,
    "rising.rounds": 60,
    "rising.falls": 256,
    "start.fall_share": 0.45,
    "start.rising_share": 0.5,
    "start.recovery_share": 0.3,
    "start.recovery_steps": 240,
}
FAINT = {  # an encoder and a discriminator that know something after 0.1 M samples, an actor that takes smaller steps
    "learner.encoder_lr": 1e-3,
    "learner.disc_lr": 3e-4,
    "learner.disc_steps": 12,
    "learner.actor_lr": 5e-5,
    "start.recovery_steps": 120,
}
LOUDNESS = 0.2
WIDTHS = ((32,), (64, 32), (128, 64), (256, 128), (512, 256), (1024, 512))
SCRATCH = {name: FRESH | TERMS[name] for name in ("no discovery", "no diversity")}  # beside "neither", which has both


class Arm:
    """One setting, compiled once for all seeds."""

    def __init__(self, changes: dict[str, Any]):
        config: Any = config_file.get_config()
        with config.unlocked():
            config.update_from_flattened_dict(SMALL | changes)
        self.setup = run._Setup.create(config)
        init, update = trainer.make_train(self.setup.settings, self.setup.env, self.setup.reference)
        self.init, self.update = jax.jit(init), jax.jit(update)

    def first(self, seed: int) -> trainer.TrainState:
        return self.init(jax.random.PRNGKey(seed))

    def controller(self, state: trainer.TrainState) -> Any:
        return run.controller_from_state(self.setup, state)

    def updates(self, million: float) -> int:
        return round(million * 1e6 / self.setup.batch)


class Examiner:
    """The same latents, starts and falls for every controller."""

    def __init__(self, count: int = 128):
        self.character, self.count = load_character(), count
        self.clips = Clips.create(self.character, builtin_motions(self.character), stride=3)

    def key(self, question: int) -> jax.Array:
        return jax.random.PRNGKey(1000 + question)

    def stage(self, controller: Any) -> Stage:
        return Stage.create(self.character, controller, "native", self.count)

    def survival(self, controller: Any) -> tuple[dict[str, float], Any]:
        """Random latents held for ten seconds from standing."""
        stage = self.stage(controller)
        latents = np.asarray(sample_latents(self.key(0), (self.count,), controller.latent_dim))
        played = stage.play(stage.stand(self.key(1), self.count), held(latents, 10.0))
        found = robustness.survival(played)
        return {"up": found.up.share, "seconds_up": found.seconds_up.mean}, played

    def everything(self, controller: Any) -> dict[str, float]:
        answers, played = self.survival(controller)
        stage, half = self.stage(controller), self.count // 2
        covered = coverage.coverage(played, self.clips.atlas, 5, np.random.default_rng(0))
        latents = np.asarray(sample_latents(self.key(2), (half,), controller.latent_dim))
        twice = sphere.consistency(stage, self.key(3), latents, 5.0, 5)
        latents = np.asarray(sample_latents(self.key(4), (self.count,), controller.latent_dim))
        recovered, _ = robustness.recovery(stage, self.key(5), latents, 5.0)
        return answers | {
            "coverage": covered.share,
            "entropy": covered.entropy,
            "different_over_same": twice.median_ratio,
            "found_again": twice.found_again.share,
            "recovered": recovered.got_up.share,
        }


def warmed(arm: Arm, seed: int) -> tuple[trainer.TrainState, dict[str, float]]:
    """The first state with cloned networks, and what that cost."""
    settings, state, begin = arm.setup.settings, arm.first(seed), time.process_time()
    params = warm_start.fit(
        jax.random.PRNGKey(100 + seed), settings, arm.setup.env, arm.setup.reference,
        *(state.params, state.obs_normalizer, state.encoder_normalizer),
        lambda name, step, metrics: print(f"  {name} {step}", {k: round(float(v), 3) for k, v in metrics.items()}),
    )  # fmt: skip
    warm = settings.warm_start
    cost = {"samples": warm.rounds * warm.num_worlds * warm.horizon, "cpu_seconds": time.process_time() - begin}
    return state.replace(params=params), cost


def trained(arm: Arm, state: trainer.TrainState, updates: int, watch=lambda done, state: None):
    """After so many updates; and the means of the last tenth of the metrics."""
    rows = []
    for done in range(updates):
        state, metrics = arm.update(state)
        rows.append({name: float(value) for name, value in metrics.items()})
        watch(done + 1, state)
    last = rows[-max(1, updates // 10) :]
    return state, {name: float(np.mean([row[name] for row in last])) for name in last[0]} if last else {}


class Results:
    """Lines of JSON; each run by experiment, arm and seed."""

    def __init__(self, path: Path):
        self.path = path
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def has(self, **name: Any) -> bool:
        return any(all(row[key] == value for key, value in name.items()) for row in self.rows)

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def risen(start: trainer.TrainState, seed: int) -> trainer.TrainState:
    """`start` after lessons in getting up."""
    arm = Arm(RISING)
    stage = TrainingStage.create(arm.setup.settings, arm.setup.env, arm.setup.reference, ALONE)
    state = arm.first(seed).replace(params=start.params)
    actor = lessons.learn(
        jax.random.PRNGKey(200 + seed), lessons.Rising(stage), state,
        lambda name, step, metrics: print(f"  {name} {step}", {k: round(float(v), 3) for k, v in metrics.items()}),
    )  # fmt: skip
    return start.replace(params=start.params.replace(actor=actor))


def faint(arm: Arm, state: trainer.TrainState, seed: int) -> trainer.TrainState:
    """`state` with an actor that hears the latent LOUDNESS times as loud, and an encoder that knows nothing."""
    trunk = state.params.actor["params"]["trunk"]
    kernel = trunk["layer_0"]["kernel"]
    heard = kernel.shape[0] - arm.setup.settings.networks.latent_dim
    trunk = trunk | {"layer_0": trunk["layer_0"] | {"kernel": kernel.at[heard:].multiply(LOUDNESS)}}
    actor = {"params": state.params.actor["params"] | {"trunk": trunk}}
    return state.replace(params=state.params.replace(actor=actor, encoder=arm.first(seed).params.encoder))


def terms(results: Results, experiment: str, seeds: list[int], million: float) -> None:
    """From each seed's cloned networks, `million` samples of ASE with and without each term."""
    more = FAINT if experiment == "faint" else {}
    examiner, arms = Examiner(), {name: Arm(changes | more) for name, changes in TERMS.items()}
    for seed in seeds:
        if all(results.has(experiment=experiment, arm=name, seed=seed) for name in TERMS):
            continue
        start, cost = warmed(arms["full"], seed)
        if experiment == "faint":
            start = faint(arms["full"], risen(start, seed), seed)
        if not results.has(experiment=experiment, arm="before", seed=seed):
            answers = examiner.everything(arms["full"].controller(start))
            results.add(experiment=experiment, arm="before", seed=seed, cost=cost, answers=answers)
        for name, arm in arms.items():
            if results.has(experiment=experiment, arm=name, seed=seed):
                continue
            begin = time.process_time()
            state, metrics = trained(arm, arm.first(seed).replace(params=start.params), arm.updates(million))
            cpu = time.process_time() - begin
            answers = examiner.everything(arm.controller(state))
            results.add(
                experiment=experiment, arm=name, seed=seed, million=million, cpu_seconds=cpu, answers=answers,
                metrics=metrics,
            )  # fmt: skip


def starts(results: Results, experiment: str, settings: dict[str, Any], seeds: list[int], million: float) -> None:
    """Survival of random latents along `million` samples from fresh networks, or the warm start and 0.1 more."""
    examiner, arms = Examiner(), {name: Arm(changes) for name, changes in settings.items()}
    for seed in seeds:
        for name, arm in arms.items():
            if results.has(experiment=experiment, arm=name, seed=seed):
                continue
            cloned = name.startswith("cloned")
            begin = time.process_time()
            state, cost = warmed(arm, seed) if cloned else (arm.first(seed), {"samples": 0, "cpu_seconds": 0.0})
            curve = [(cost["samples"] / 1e6, examiner.survival(arm.controller(state))[0])]

            def watch(done: int, state: Any) -> None:
                if done % arm.updates(0.1) == 0:  # noqa: B023
                    samples = (cost["samples"] + done * arm.setup.batch) / 1e6  # noqa: B023
                    curve.append((samples, examiner.survival(arm.controller(state))[0]))  # noqa: B023

            state, metrics = trained(arm, state, arm.updates(0.1 if cloned else million), watch)
            cpu, answers = time.process_time() - begin, examiner.everything(arm.controller(state))
            results.add(
                experiment=experiment, arm=name, seed=seed, million=million, cost=cost, curve=curve, cpu_seconds=cpu,
                answers=answers, metrics=metrics,
            )  # fmt: skip


def widths(results: Results, seeds: list[int]) -> None:
    """Actors of several sizes after the same cloning: how well they imitate, and how fast they are."""
    examiner = Examiner()
    for seed in seeds:
        for size in WIDTHS:
            if results.has(experiment="widths", arm=str(size), seed=seed):
                continue
            arm = Arm({"networks.actor": size})
            state, cost = warmed(arm, seed)
            controller, clips = arm.controller(state), examiner.clips
            found, _ = imitation.imitation(examiner.stage(controller), clips, 1, 10.0, 0.35, 5)
            weights = sum(x.size for x in jax.tree.leaves(controller.params))
            answers = {"kept": found.kept.share, "error": found.error.mean, "weights": weights}
            answers |= examiner.survival(controller)[0]
            results.add(experiment="widths", arm=str(size), seed=seed, cost=cost, answers=answers)


def table(results: Results) -> None:
    """Means over seeds with their sample standard deviation, and the seeds; differences from "full" seed by seed."""
    runs = {(row["experiment"], row["arm"], row["seed"]): row for row in results.rows}
    for experiment, arm in dict.fromkeys((experiment, arm) for experiment, arm, _ in runs):
        rows = {s: row for (e, a, s), row in runs.items() if (e, a) == (experiment, arm)}
        print(f"\n{experiment}: {arm}")
        full = {
            s: runs.get(("warm_start", "neither", s) if experiment == "from_scratch" else (experiment, "full", s))
            for s in rows
        }
        for name in next(iter(rows.values()))["answers"]:
            values = np.array([row["answers"][name] for row in rows.values()])
            line = f"  {name:20} {spread(values)}  {np.round(values, 3)}"
            if all(full.values()) and arm != "full":
                line += f"   minus full: {spread(values - [row['answers'][name] for row in full.values()])}"
            print(line)
        for seed, row in rows.items():
            points = "  ".join(f"{m:.2f} M: {a['seconds_up']:.1f} s" for m, a in row.get("curve", []))
            print(f"  seed {seed}: {row.get('cost', row.get('cpu_seconds'))}  {points}")


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} +- {values.std(ddof=1) if values.size > 1 else float('nan'):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=("terms", "faint", "from_scratch", "warm_start", "widths", "table"))
    parser.add_argument("--out", type=Path, required=True, help="results, one line of JSON per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--million", type=float, help="samples per run; default 0.4 (terms), 0.6 (faint), 0.5")
    options = parser.parse_args()
    results = Results(options.out)
    if options.experiment in ("terms", "faint"):
        million = 0.6 if options.experiment == "faint" else 0.4
        terms(results, options.experiment, options.seeds, options.million or million)
    elif options.experiment == "warm_start":
        starts(results, "warm_start", STARTS, options.seeds, options.million or 0.5)
    elif options.experiment == "from_scratch":
        starts(results, "from_scratch", SCRATCH, options.seeds, options.million or 0.5)
    elif options.experiment == "widths":
        widths(results, options.seeds)
    else:
        table(results)


if __name__ == "__main__":
    main()
