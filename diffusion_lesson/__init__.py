"""Small reference implementations behind the diffusion notebooks; one file is one idea."""
