"""What nbgrader's feedback shows of a failed check: its message, no line of its code (see handout_nbgrader.CONFIG)."""

from typing import Any

from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade


class WordsOnly(NbGraderPreprocessor):
    """Replaces the traceback of each check by its last line."""

    def preprocess_cell(self, cell: Any, resources: Any, cell_index: int) -> tuple[Any, Any]:
        for output in cell.get("outputs", []) if is_grade(cell) else []:
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
        return cell, resources
