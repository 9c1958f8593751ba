"""Stories told with recorded data, by the code of the verbs."""
