"""The real steps on a small sample, as the tests without processes have them."""

from tests.unit.steps.conftest import artifact, contract_report, prepared, train_options

__all__ = ["artifact", "contract_report", "prepared", "train_options"]
