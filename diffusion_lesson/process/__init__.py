"""The mathematics of diffusion: pure functions that know no network, no file and no screen."""
