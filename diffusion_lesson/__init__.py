"""The code behind the diffusion notebooks: five rooms, and in each one file is one idea. Imports only go down.

__main__, options       python -m diffusion_lesson trains from the shell, and draws
learning                from pictures to weights to scores: data, training, recipes, weights, denoiser, metrics
exercises               check(name, answer) tells a reader's mistakes apart
page                    what the reader sees and touches: plots, scrubber, live, progress
networks                functions of (x, t) or of z: unet, gan, classifier
process                 the mathematics: schedule, forward, reverse, elbo, losses, samplers, exact
devices, shapes, interrupts  what all may use
"""

__version__ = "0.1.0"
