"""The Figure that plots make: matplotlib's, which shows itself in a notebook. Imported where a plot is drawn only."""

import io

import matplotlib.figure

_CSS_INCH = 96  # pixels that a browser takes for an inch


class Figure(matplotlib.figure.Figure):
    """A matplotlib Figure that Jupyter shows as a picture, whether or not pyplot was imported."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=self.dpi)
        width, height = self.get_size_inches()
        return file.getvalue(), {"width": round(_CSS_INCH * width), "height": round(_CSS_INCH * height)}
