"""Networks: functions of (x, t) or of z that know no diffusion."""
