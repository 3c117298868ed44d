"""Copies between a run's flat buffer and labelled arrays: stimuli and given noise in, records out."""

# mypy: ignore-errors
from cortexsim.kernel.maths import inline


@inline
def write_drive(buf, tile_base, tile, width, by_trial, n_trials, driven, drive, n):
    """Put drive[trial, n, d] at the d-th driven place of the tile (its first lane where the lanes are trials)."""
    shared = drive.shape[0] == 1
    for d in range(driven.size):
        if by_trial:
            for lane in range(width):
                trial = 0 if shared else min(tile * width + lane, n_trials - 1)
                buf[tile_base + driven[d] + lane] = drive[trial, n, d]
        else:
            buf[tile_base + driven[d]] = drive[0 if shared else tile, n, d]


@inline
def write_given(buf, tile_base, tile, width, stride, by_trial, n_trials, n_areas, first_field, given, n):
    """Put given[trial, n, area, variable] into the noise fields."""
    shared = given.shape[0] == 1
    for k in range(given.shape[3]):
        at = tile_base + (first_field + k) * width
        for area in range(n_areas):
            if by_trial:
                for lane in range(width):
                    trial = 0 if shared else min(tile * width + lane, n_trials - 1)
                    buf[at + area * stride + lane] = given[trial, n, area, k]
            else:
                buf[at + area // width * stride + area % width] = given[0 if shared else tile, n, area, k]


@inline
def write_record(buf, tile_base, tile, width, stride, by_trial, n_trials, n_areas, fields, record, sample):
    """Put the chosen fields into record[variable, trial, sample, area]."""
    for r in range(fields.size):
        at = tile_base + fields[r] * width
        if by_trial:
            for lane in range(min(width, n_trials - tile * width)):
                for area in range(n_areas):
                    record[r, tile * width + lane, sample, area] = buf[at + area * stride + lane]
        else:
            for area in range(n_areas):
                record[r, tile, sample, area] = buf[at + area // width * stride + area % width]
