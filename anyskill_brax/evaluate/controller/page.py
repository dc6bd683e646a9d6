"""The report of an examined controller: targets first, then a section per question with its figure, then films."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anyskill_brax.character.humanoid import Character
from anyskill_brax.evaluate.controller.answers import Answers
from anyskill_brax.evaluate.controller.posing import WITHIN
from anyskill_brax.evaluate.controller.robustness import UPRIGHT, UPRIGHT_SECONDS
from anyskill_brax.evaluate.intervals import Rate
from anyskill_brax.evaluate.report import Page
from anyskill_brax.evaluate.rollouts import FALL_HEIGHT

INTERVAL = "95 % Wilson intervals"


def summary(answers: Answers) -> list[tuple[str, str, str]]:
    """Question, answer with its spread, trials: the short table."""
    a, c, i = answers, answers.coverage, answers.imitation
    held, clips = a.survival.up.episodes, f"{i.error.trials} clips"
    apart, slerp, paths = (
        a.consistency,
        a.interpolation,
        f"{a.interpolation.up.episodes} x {a.interpolation.seconds:g} s",
    )
    poses = f"{a.posing.held.episodes} x {a.posing.seconds:g} s"
    falls = f"{a.recovery.got_up.episodes} x {a.recovery.seconds:g} s"
    rows = [
        ("survival, random latents", percent(a.survival.up), f"{held} x {a.survival.seconds:g} s"),
        ("seconds up, random latents", str(a.survival.seconds_up), str(held)),
        ("survival, latents of the clips", percent(a.survival_of_clips.up), str(held)),
        ("seconds up, latents of the clips", str(a.survival_of_clips.seconds_up), str(held)),
        ("clips covered (by uniform draws)", f"{c.share:.0%} ± {c.share_error:.0%} ({c.uniform_share:.0%})",
         f"{c.clips} clips, {c.rollouts} rollouts"),
        ("entropy / uniform (of uniform draws)", f"{c.entropy:.2f} ± {c.entropy_error:.2f} ({c.uniform_entropy:.2f})",
         f"{c.voted} votes"),
        ("Frechet distance (floor) [m]", f"{a.frechet.distance:.3f} ± {a.frechet.error:.3f} ({a.frechet.floor:.3f})",
         f"{a.frechet.windows} windows"),
        ("clips followed to the end", percent(i.kept), clips),
        ("of clips that lift a foot, followed and lifted", percent(i.feet_lifted), f"{i.feet_lifted.episodes} clips"),
        ("error following | standing [m]", f"{i.error} | {i.standing_error}", clips),
        ("unlikeness following | best held latent | standing [m]",
         f"{i.following_unlikeness} | {i.held_unlikeness} | {i.standing_unlikeness}", clips),
        ("jerk following / the clip's, median over clips", f"{i.jerk_ratio:.2f}", clips),
        ("poses held from standing", percent(a.posing.held), poses),
        ("stances held from standing (one leg, lunges)", percent(a.posing.stances_held),
         f"{a.posing.stances_held.episodes} x {a.posing.seconds:g} s"),
        ("furthest body in poses | in stances [m]", f"{a.posing.off} | {a.posing.stances_off}",
         f"{len(a.posing.poses)} poses"),
        ("same latent twice | two latents [m]", f"{apart.same} | {apart.different}", f"{apart.same.trials} latents"),
        ("ratio of the two (of medians)", f"{apart.ratio:.2f} ({apart.median_ratio:.2f})", str(apart.same.trials)),
        ("a latent found again by its rollout", percent(apart.found_again), str(apart.same.trials)),
        ("survival along slerps | of their ends, held", f"{percent(slerp.up)} | {percent(slerp.ends_up)}", paths),
        ("jerk along slerps / at the ends", f"{slerp.jerk_to_ends:.2f}", paths),
        ("survival of switches | without a switch", f"{percent(a.transitions.up)} | {percent(a.transitions.held)}",
         str(a.transitions.up.episodes)),
        ("recovery from falls", percent(a.recovery.got_up), falls),
        ("seconds to get up", str(a.recovery.time) if a.recovery.time.trials else "-", str(a.recovery.time.trials)),
        ("push that fells half [m/s]", f"{a.pushes.half:.2f}", f"{len(a.pushes.speeds)} x {a.pushes.up[0].episodes}"),
    ]  # fmt: skip
    for m in a.movement:
        found = f"{m.simulated:.3g} ± {m.spread:.1g} | {m.reference:.3g}, ratio {m.ratio:.2f}"
        rows.append((f"{m.name} [{m.unit}], it | the clips", found, f"{m.trials}"))
    return rows


def percent(rate: Rate) -> str:
    if not rate.episodes:
        return "-"
    return f"{rate.share:.0%} ({rate.low:.0%} to {rate.high:.0%})"


def write(page: Page, character: Character, answers: Answers, about: Mapping[str, object]) -> None:
    """Everything into `page`. `about` says whose report this is and how it was made."""
    page.table(("", ""), [[name, str(value)] for name, value in about.items()])
    page.heading("Targets")
    page.table(
        ("", "wanted", "found", ""),
        [[t.what, t.wanted, t.found, "met" if t.met else "not met"] for t in answers.targets],
    )
    page.heading("Every number")
    page.text(f"Rates with {INTERVAL}; means ± one standard error; the last column counts the trials.")
    page.table(("", "", "trials"), summary(answers))
    for section in (_survival, _coverage, _frechet, _imitation, _posing, _sphere, _recovery, _pushes, _movement):
        section(page, answers)
    page.heading("Films")
    for caption, qpos in answers.reels:
        page.film(character, qpos, caption)


def _survival(page: Page, a: Answers) -> None:
    page.heading("Does it stay up?")
    page.text(
        f"One latent per world, held for {a.survival.seconds:g} s from perturbed standing starts. Up: the head's "
        f"origin has never been under {FALL_HEIGHT} m. Latents of the clips are the encoder's, of any window of any "
        f"clip: some are of jumps and rolls. Worlds whose physics broke: {a.broken_worlds}."
    )
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for label, found in (("random latents", a.survival), ("latents of the clips", a.survival_of_clips)):
        axes.plot(range(len(found.curve) + 1), [1.0, *found.curve], label=label)
    _finish(axes, "s", "share still up", top=1.02)
    page.figure(figure, "Still up after so many seconds")


def _coverage(page: Page, a: Answers) -> None:
    c = a.coverage
    page.heading("How many of the clips does it bring forth?")
    page.text(
        "A rollout of a random latent votes for the clip that most of its half-second windows are nearest to: "
        "positions of all bodies at four moments, seen from the root at the first. Its first second has no vote, nor "
        f"have frames after the head went down for good; {c.rollouts - c.voted} of {c.rollouts} rollouts have no vote. "
        f"{c.rollouts} draws, uniform over {c.clips} clips, would hit {c.uniform_share:.0%} of them, with an entropy "
        f"of {c.uniform_entropy:.2f}: these are the ceilings here. The median distance to the nearest window of any "
        f"clip is {c.distance:.3f} m; between windows of different clips it is {c.distance_between_clips:.3f} m."
    )
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(c.clips), np.array(c.votes)[c.most_hit], width=1.0)
    axes.set(xlabel="clips, from the most votes", ylabel="votes")
    page.figure(figure, "Votes of the clips")
    names = [clip.name for clip in a.imitation.clips]
    most = [f"{names[clip]} {c.votes[clip]}" for clip in c.most_hit[:12] if c.votes[clip]]
    page.text(f"Most votes: {', '.join(most) or 'none'}.")


def _frechet(page: Page, a: Answers) -> None:
    f = a.frechet
    page.heading("Are its movements those of the clips?")
    page.text(
        f"Frechet distance between {f.windows} simulated windows and {f.reference_windows} of the clips, in the same "
        f"fixed space of body positions (no network): {f.distance:.3f} ± {f.error:.3f} m (bootstrap over rollouts); of "
        f"frames before the head goes down for good {f.alive:.3f} m. One half of the clips is {f.floor:.3f} m from the "
        "other: less cannot be told."
    )


def _imitation(page: Page, a: Answers) -> None:
    i = a.imitation
    page.heading("Can it do each clip?")
    seen = sum(clip.in_training for clip in i.clips)
    page.text(
        f"{len(i.clips)} clips, {seen} of them named among its training motions. Following: from the first frame, the "
        "latent is always the encoder's of the window that comes. Error: mean distance of body origins, "
        "each figure seen from its own root, over all frames, fallen or not. Kept: never lost, or of one clip the "
        "share of its frames before it was. Unlikeness compares windows whatever their timing, so that a held latent "
        "(the best of a few of the clip's own) can be measured too. Standing is a figure that does nothing; "
        f"{percent(i.better_than_standing)} of the clips are imitated better than that. Lifted: of the clips that lift "
        "a foot by 0.1 m or more, those that were kept with that foot at least half as high."
    )
    page.table(
        ("", "clips", "kept", "lifted", "error [m]", "standing [m]")
        + ("unlikeness following", "best held", "standing"),
        [
            [name, len(c.clips), percent(c.kept), percent(c.feet_lifted), c.error.mean, c.standing_error.mean,
             c.following_unlikeness.mean, c.held_unlikeness.mean, c.standing_unlikeness.mean]
            for name, c in {"all": i, **i.categories}.items()
        ],
    )  # fmt: skip
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for label, name in (("following", "following_unlikeness"), ("best held latent", "held_unlikeness")):
        axes.plot(*zip(*((c.standing_unlikeness, getattr(c, name)) for c in i.clips)), ".", label=label)
    limit = max(c.standing_unlikeness for c in i.clips)
    axes.plot([0, limit], [0, limit], "k:", lw=1)
    _finish(axes, "unlikeness of standing to the clip [m]", "of the controller [m]", bottom=0)
    page.figure(figure, "Under the dotted line: better than standing")
    page.heading("Every clip")
    page.table(
        ("clip", "category", "trained on", "s", "kept", "lifts a foot by [m]", "lifted")
        + ("error [m]", "standing", "unlikeness", "best held", "standing"),
        [
            [c.name, c.category, "yes" if c.in_training else "no", c.seconds, f"{c.kept_share:.0%}", c.lift, c.lifted,
             c.error, c.standing_error, c.following_unlikeness, c.held_unlikeness, c.standing_unlikeness]
            for c in i.clips
        ],
    )  # fmt: skip


def _posing(page: Page, a: Answers) -> None:
    p = a.posing
    page.heading("Can it hold each pose?")
    page.text(
        f"From standing, {p.seconds:g} s under the one latent of a clip's pose at rest that is furthest from standing. "
        f"Held: up, and in the last second the furthest body less than {WITHIN} m off on average. Stances have the "
        "feet elsewhere than standing has them: they take a step."
    )
    page.table(
        ("clip", "category", "at [s]", "feet", "furthest body off [m]", "of a figure that stands", "held"),
        [
            [r.name, r.category, r.second, "elsewhere" if r.stance else "in place", r.off, r.standing_off,
             "yes" if r.held else "no"]
            for r in sorted(p.poses, key=lambda r: -r.off)
        ],
    )  # fmt: skip


def _sphere(page: Page, a: Answers) -> None:
    page.heading("What do latents mean?")
    c, p, t = a.consistency, a.interpolation, a.transitions
    page.text(
        f"{c.same.trials} random latents, each twice from different starts: unlikeness {c.same} m to itself, "
        f"{c.different} m to the others. The second rollout is nearer to the first of its own latent than every other "
        f"latent's is in {percent(c.found_again)}."
    )
    page.text(
        f"Along the great circle between latents of two clips, and a second of rest at either end: {percent(p.up)} "
        f"stay up; of the two ends, held as long from the same starts, {percent(p.ends_up)}. Median jerk {p.jerk:.0f} "
        f"m/s^3, {p.jerk_to_ends:.2f} times that of the ends."
    )
    page.text(
        f"Switches: {t.before:g} s under the latent of the row, then {t.after:g} s under that of the column; the share "
        f"still up of those that were up at the switch. All switches {percent(t.up)}; the diagonal, unswitched, "
        f"{percent(t.held)}."
    )
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(np.array(t.share), vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(range(len(t.names)), t.names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(t.names)), t.names, fontsize=7)
    figure.colorbar(image, label="share still up")
    page.figure(figure, "From the row's latent to the column's; white: none was up to switch")


def _recovery(page: Page, a: Answers) -> None:
    r = a.recovery
    page.heading("Does it get up?")
    page.text(
        f"Dropped limp from random heights and orientations, settled, then one random latent each for {r.seconds:g} s. "
        f"Up: the head's origin above {UPRIGHT:.0%} of its height in standing for {UPRIGHT_SECONDS:g} s on end, which "
        f"count in the time. {percent(r.got_up)} got up, {percent(r.stayed_up)} were up at the end."
    )
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(0.5 * np.arange(len(r.curve) + 1), [0.0, *r.curve])
    _finish(axes, "s", "share that got up", top=1.02)
    page.figure(figure, "Up again within so many seconds")


def _pushes(page: Page, a: Answers) -> None:
    page.heading("How hard a push does it take?")
    page.text(
        "The velocity of the whole figure changed at once, in directions spread over the compass, two seconds into a "
        f"random latent; the share still up {a.pushes.seconds:g} s later, of those that were up when pushed."
    )
    shares = np.array([rate.share for rate in a.pushes.up])
    bounds = np.abs(np.array([[rate.low, rate.high] for rate in a.pushes.up]).T - shares)
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(a.pushes.speeds, shares, yerr=bounds, marker="o", capsize=3)
    _finish(axes, "push [m/s]", "share still up", top=1.02)
    page.figure(figure, f"Survival under pushes, {INTERVAL}")


def _movement(page: Page, a: Answers) -> None:
    page.heading("Does it move as the clips do?")
    page.text(
        "Of the random latents' rollouts, frames before a fall. Jerk: median over frames of the mean over bodies; the "
        "rest are means. Power: sum over hinges of |torque x velocity|; that of the clips is estimated by inverse "
        "dynamics, with the floor pushing on the feet alone."
    )
    page.table(
        ("", "controller", "± over rollouts", "clips", "ratio"),
        [[f"{m.name} [{m.unit}]", m.simulated, m.spread, m.reference, m.ratio] for m in a.movement],
    )


def _finish(axes: Axes, x: str, y: str, bottom: float = -0.02, top: float | None = None) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.set_ylim(bottom, top)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
