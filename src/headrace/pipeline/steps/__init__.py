"""The steps that come with Headrace: `docs/steps.md` lists them, in the order of a turn."""
