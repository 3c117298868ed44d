"""Pictures of tasks: what stands where, and with which names."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cortexsim import tasks
from cortexsim.plot.tasks import task as picture

pytestmark = pytest.mark.slow


def heat(ax):
    """The values (channel, time) that a panel shows."""
    return ax.collections[0].get_array()


def panels(figure):
    return figure.axes[:-1]  # the last is the colour bar's


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rtgo", "rule_reversal", "delayed_match"])
def test_tasks_of_each_kind_draw_themselves(name):
    figure = picture(tasks.ALL[name])
    assert [ax.get_ylabel().split("\n")[0] for ax in panels(figure)] == ["Input", "Target", "Loss"]
    figure.draw_without_rendering()


def test_the_panels_show_the_inputs_and_targets_of_the_trial_asked_for():
    trials = tasks.DelayedGo().trials(4, seed=2)
    inputs, target, weight = panels(picture(trials, trial=3))
    data = trials.to_dataset().isel(trial=3)
    assert np.array_equal(heat(inputs)[:, trials.warmup :], data.inputs.values.T)
    assert (heat(inputs)[:, : trials.warmup] == data.warmup_inputs.values[:, None]).all()
    shown = heat(target)
    assert np.array_equal(np.ma.getmaskarray(shown), np.isnan(data.targets.values.T))
    assert np.array_equal(shown.compressed(), data.targets.values.T[~np.isnan(data.targets.values.T)])
    heights = weight.patches[0].get_data().values
    assert np.sum(heights) * trials.dt / 1000 == pytest.approx(2.0)  # both windows weigh one


def test_outputs_have_a_panel_of_their_own():
    trials = tasks.RuleReversal().trials(2)
    outputs = np.random.default_rng(0).random((trials.steps, 2))
    figure = picture(trials, trial=1, outputs=outputs)
    assert [ax.get_ylabel() for ax in panels(figure)][:3] == ["Input", "Target", "Output"]
    assert np.array_equal(heat(panels(figure)[2]), outputs.T)


def test_few_channels_are_named_one_by_one_and_many_by_group():
    few = panels(picture(tasks.NBack(items=4)))[0]
    assert [t.get_text() for t in few.get_yticklabels()] == ["item 1", "item 2", "item 3", "item 4"]
    many = panels(picture(tasks.Go()))[0]
    assert [t.get_text() for t in many.get_yticklabels()] == ["fixation", "modality 1", "modality 2", "rule"]
    assert many.get_yticks().tolist() == [0, 16.5, 48.5, 74.5]


def test_the_epochs_are_named_and_the_task_is_the_title():
    inputs = panels(picture(tasks.DelayedGo()))[0]
    assert [t.get_text() for t in inputs.texts] == ["warm-up", "fixation", "stimulus", "delay", "response"]
    assert inputs.get_title(loc="left") == "dgo"


def test_it_draws_on_axes_of_ones_own():
    axes = Figure().subplots(3, 1)
    assert picture(tasks.Go(), ax=list(axes)) is axes[0].figure


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shown": "dgo"}, TypeError, "must be a Task or Trials, but is str"),
        ({"shown": tasks.Go().trials(2), "trial": 2}, ValueError, "below the number of trials, 2"),
        ({"shown": tasks.Go().trials(2), "seed": 1}, ValueError, "`seed` must be left out"),
        ({"outputs": np.zeros((1, 300, 1, 33))}, ValueError, r"\(time, output\) = \(300, 33\)"),
        ({"ax": Figure().subplots(2, 1)}, ValueError, "must be 3 Axes"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        picture(**{"shown": tasks.Go(), **arguments})
