"""How much an endpoint can take, and what machine it needs: load, measurement, recommendation, report."""
