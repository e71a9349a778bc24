"""Lesson 00: symbols and their names in the code."""

from diffusion_lesson.page.exercise import Exercise, Mistake

NAMES = {
    "β_t": "beta",
    "ᾱ_t": "alpha_bar",
    "β̃_t": "beta_tilde",
    "ε": "eps",
    "ε_θ(x_t, t)": "eps_hat",
}

EXERCISES = {
    "symbols": Exercise(
        hint='give a dictionary with a name for each of the five symbols, such as {"β_t": "beta", …}.',
        right=lambda answer: dict(answer) == NAMES,
        praise="You can read the code as if it were the paper.",
        mistakes=(
            Mistake(
                lambda a: set(a) != set(NAMES), "the keys should be the five symbols as they stand in the stub."
            ),
            Mistake(
                lambda a: a["ᾱ_t"] == "alpha", "alpha is 1 − β of one step; the bar means the product of all."
            ),
            Mistake(
                lambda a: a["β_t"] == "beta_tilde" or a["β̃_t"] == "beta",
                "β is the noise of a step; the tilde belongs to the variance that is left if x_0 is known too.",
            ),
            Mistake(
                lambda a: a["ε"] == "eps_hat" or a["ε_θ(x_t, t)"] == "eps",
                "ε is the true noise; a hat marks the network's guess at it.",
            ),
            Mistake(
                lambda a: a["ε_θ(x_t, t)"] == "eps_model",
                "eps_model is the network itself; its answer at x_t and t has another name.",
            ),
        ),
    ),
}
