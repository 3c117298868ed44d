"""Tasks as Gymnasium environments: the checker's rules, repeatable episodes, and returns that mean what they say."""

import builtins
import sys
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from cortexsim import tasks

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

RIGHT_ALL_ALONG = pytest.approx(1.0, abs=1e-12)  # sums of shares that add up to 1


@dataclass(frozen=True, kw_only=True)
class Lever(tasks.Task):
    """Press when the light is on."""

    name = "lever"
    inputs = ("light",)
    outputs = ("lever",)
    draws = 1
    brightness: float = 1.0

    @property
    def epochs(self):
        return tasks.TaskEpoch("dark", 500.0, self.jitter), tasks.TaskEpoch("response", 500.0)

    def draw(self, u):
        on = np.where(u[0] < 0.5, self.brightness, 0.0)
        inputs = np.stack([np.zeros_like(on), on])[..., np.newaxis]
        targets = np.stack([np.zeros_like(on), on > 0])[..., np.newaxis].astype(float)
        return tasks.Draw(inputs, targets, {"on": on > 0})


def play(env, policy, seed=None):
    """Return all that an episode gave."""
    observation, info = env.reset(seed=seed)
    seen, rewards, infos, over = [observation], [], [info], False
    while not over:
        observation, reward, over, truncated, info = env.step(policy(observation, env))
        assert not truncated
        seen.append(observation)
        rewards.append(reward)
        infos.append(info)
    return np.array(seen), np.array(rewards), infos


@pytest.mark.parametrize("name", tasks.ALL)
def test_gymnasiums_checker_has_nothing_to_say(name):
    check_env(tasks.environment(tasks.ALL[name]))


@pytest.mark.parametrize("name", tasks.DASC16)
def test_gymnasiums_checker_has_nothing_to_say_of_continuous_actions(name):
    check_env(tasks.environment(tasks.ALL[name], actions="continuous"))


def test_gymnasiums_checker_passes_a_task_of_ones_own_with_a_single_output():
    check_env(tasks.environment(Lever()))


def test_the_same_seed_repeats_all_episodes_that_follow_and_another_does_not():
    env = tasks.environment(tasks.DelayedGo(), dt=50)

    def episodes(seed):
        return [play(env, lambda *_: 0, seed if k == 0 else None)[0] for k in range(3)]

    first, again, other = episodes(7), episodes(7), episodes(8)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_an_episode_shows_the_trials_inputs_step_by_step():
    env = tasks.environment(tasks.DelayedGo(), dt=50, jitter=False)
    seen, rewards, infos = play(env, lambda *_: 0, seed=3)
    assert len(rewards) == 50
    bump = tasks.DelayedGo().bump(np.array([infos[0]["labels"]["angle"]]))[0]
    ring = slice(1, 33) if infos[0]["labels"]["modality"] == 1 else slice(33, 65)
    assert seen[10:20, ring] == pytest.approx(np.tile(bump, (10, 1)), abs=1e-7)  # float32
    assert (seen[20:, 1:65] == 0).all()
    assert [i["epoch"] for i in infos[::10]] == ["fixation", "stimulus", "delay", "delay", "response", "response"]


@pytest.mark.parametrize("name", tasks.ALL)
def test_an_agent_that_gives_the_targets_has_the_return_one(name):
    """As a ring of 32 units: the one nearest to the target is well within the tolerance."""
    env = tasks.environment(tasks.ALL[name], dt=50)

    def oracle(_, env):
        now = [w for w in env._trials.windows if w.start <= env._time < w.stop]
        return int(now[0].target[0].argmax()) if now else 0

    assert play(env, oracle, seed=1)[1].sum() == RIGHT_ALL_ALONG


def test_an_agent_that_always_fixates_has_the_first_window_only():
    env = tasks.environment(tasks.DelayedGo(), dt=50)
    assert play(env, lambda *_: 0, seed=1)[1].sum() == pytest.approx(0.5, abs=1e-12)


def test_continuous_actions_return_minus_the_error_within_the_windows():
    """Half of everything: .35 off where the target is .85, .45 where it is .05, in 1 of 33 and 32 of 33 channels."""
    env = tasks.environment(tasks.DelayedGo(), dt=50, actions="continuous")
    before = (0.35**2 + 32 * 0.45**2) / 33
    _, rewards, _ = play(env, lambda *_: np.full(33, 0.5), seed=1)
    after = np.mean((0.5 - env._trials.windows[1].target) ** 2)
    assert -rewards.sum() == pytest.approx((before + after) / 2, rel=1e-12)


def test_feedback_follows_from_the_action_before_it():
    env = tasks.environment(tasks.RuleReversal(), dt=100, jitter=False)
    for action in (0, 1):
        seen, _, infos = play(env, lambda *_, action=action: action, seed=4)
        right = np.array(infos[0]["labels"]["correct"]) == action + 1
        told = seen[10:100:20, 2:]
        assert np.array_equal(told, np.stack([right, ~right], axis=1))


def test_rules_reverse_in_an_environment_as_well():
    env = tasks.environment(tasks.RuleReversal(), dt=100)
    rules = {tuple(env.reset(seed=seed)[1]["labels"]["rule"]) for seed in range(40)}
    assert len(rules) == 8


def test_the_specification_makes_the_environment_anew():
    env = tasks.environment(tasks.DelayedAnti(delay=200.0), dt=50, actions="continuous", jitter=False)
    again = env.spec.make().unwrapped
    assert (again.task, again.dt, again.actions, again.jitter) == (env.task, 50, "continuous", False)


def test_inputs_out_of_bounds_are_named():
    env = tasks.environment(Lever(brightness=3.0))
    with pytest.raises(ValueError, match=r"`input_bounds`, 0 to 1, but go from 0 to 3"):
        env.reset(seed=4)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"task": "dgo"}, TypeError, "must be a Task"),
        ({"actions": "discreet"}, ValueError, "did you mean 'discrete'"),
        ({"task": tasks.NBack(), "actions": "continuous"}, ValueError, "are classes"),
        ({"dt": 0}, ValueError, "`dt` must be positive"),
    ],
)
def test_wrong_arguments_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        tasks.environment(**{"task": tasks.Go(), **changes})


@pytest.mark.parametrize(
    ("task", "actions", "action", "message"),
    [
        (tasks.Go(), "discrete", 33, "from 0 to 32, but is 33"),
        (Lever(), "discrete", 2, "from 0 to 1, but is 2"),
        (tasks.Go(), "continuous", np.zeros(32), r"the shape \(33,\), but has \(32,\)"),
    ],
)
def test_wrong_actions_are_named(task, actions, action, message):
    env = tasks.environment(task, actions=actions)
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(action)


def test_a_step_before_the_first_trial_or_after_its_end_is_refused():
    env = tasks.environment(tasks.Go(), dt=100)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    play(env, lambda *_: 0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_options_are_refused():
    with pytest.raises(ValueError, match="`options` must be empty"):
        tasks.environment(tasks.Go()).reset(options={"angle": 1})


def test_without_gymnasium_the_extra_is_named(monkeypatch):
    whole = builtins.__import__

    def without(name, *rest, **options):
        if name.split(".")[0] == "gymnasium":
            raise ModuleNotFoundError("No module named 'gymnasium'", name="gymnasium")
        return whole(name, *rest, **options)

    monkeypatch.delitem(sys.modules, "cortexsim.tasks.gym", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"cortexsim\[gym\]"):
        tasks.environment(tasks.Go())


def test_an_environment_is_a_gymnasium_env():
    assert isinstance(tasks.environment(tasks.Go()), gymnasium.Env)
