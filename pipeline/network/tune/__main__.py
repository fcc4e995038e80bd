"""Search over a member's parameters: Bayesian optimisation (TPE) with pruning.

Usage: python -m pipeline.network.tune --member b4 data/split/manifest.csv data/resize/b4
reports/tune/b4

Section `tune` of `params.yaml` names the parameters and their ranges. No case of the test set and
none of fold `ensemble.fold` is read. A trial is scored by the mean log-loss of an inner fold: a
proper score, and computed by training itself, for `network` knows nothing of `pipeline.scoring`.
A search that was killed goes on to the same trials when the same command is run again, and one that
has ended goes on with more `--trials`; what it goes on from lies in `.resume/tune`.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from pipeline.command import run_stage
from pipeline.network.tune.job import Job, run_in_own_process
from pipeline.network.tune.report import best_of, summarise, write_report
from pipeline.network.tune.search import Search, read_search
from pipeline.network.tune.space import settings_with
from pipeline.network.tune.state import begin_or_resume, holding, save_trial
from pipeline.network.tune.study import COMPLETE, Trial, propose
from pipeline.processes import environment_of_children, map_in_processes

RESUME = Path(".resume/tune")
# Of the bar that a trial's training draws in its own process: below that of the trials, and gone
# at its end. Tqdm takes what the empty word says, false, for a switch.
TRIAL_BAR = {"TQDM_POSITION": "1", "TQDM_LEAVE": ""}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    search = read_search(args.member, args.trials, args.table, args.arrays)
    folder = RESUME / args.member
    command = (
        f"python -m pipeline.network.tune --member {args.member} "
        f"{args.table} {args.arrays} {args.target}"
    )
    with holding(folder / "search.lock", waits=False):
        trials = begin_or_resume(folder, search.recipe, command)
        run_trials(search, args, folder, trials)
    write_report(search, trials, args.target)
    if best_of(trials) is None:
        raise ValueError(f"a trial must complete. Got: none of {len(trials)}; see {args.target}.")
    print(f"tune: {summarise(search, trials)} {len(trials)} trials in {args.target}")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="pipeline.network.tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--member", required=True, help="name in section member of params.yaml")
    parser.add_argument("--trials", type=int, help="of the whole search, in place of tune.trials")
    parser.add_argument("table", type=Path, help="manifest written by stage split")
    parser.add_argument("arrays", type=Path, help="folder written by stage resize")
    parser.add_argument("target", type=Path, help="folder of the report")
    return parser.parse_args(argv)


def run_trials(search: Search, args: argparse.Namespace, folder: Path, trials: list[Trial]) -> None:
    """Run what is left of a search, one trial after another; `trials` grows."""
    total = max(search.settings.trials, len(trials))
    with tqdm(total=total, initial=len(trials), desc=f"tune {search.member}", unit="trial") as bar:
        while len(trials) < search.settings.trials:
            job = make_job(search, args, folder, trials)
            with environment_of_children(TRIAL_BAR):
                [trial] = map_in_processes(run_in_own_process, [job], 1)
            save_trial(folder, trial)
            trials.append(trial)
            best = best_of(trials)
            bar.set_postfix({"best": f"{best.value:.4f}" if best else "none"}, refresh=False)
            bar.update()


def make_job(search: Search, args: argparse.Namespace, folder: Path, trials: list[Trial]) -> Job:
    """Choose the next trial's values, from the trials before it alone."""
    values = propose(trials, search.space, search.settings)
    member, settings = settings_with(values, search.sections)
    return Job(
        number=len(trials),
        values=values,
        member=member,
        settings=settings,
        pruner=search.settings.pruner,
        earlier=[trial.losses for trial in trials if trial.state == COMPLETE],
        table=args.table,
        arrays=args.arrays,
        outer_fold=search.outer_fold,
        inner_folds=search.settings.inner_folds,
        folder=folder,
    )


if __name__ == "__main__":
    raise SystemExit(run_stage(main))
