"""The parts of the report: a frame in HTML, its looks in CSS, drawings in SVG. No script."""
