"""`headrace schema`: the format of a file as JSON Schema, for editors and checks."""

import click

from headrace.cli.command import Command
from headrace.cli.terminal import print_json

__all__ = ["schema"]


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(["service", "prompt", "policy"]), default="service")
def schema(kind: str) -> None:
    """Print the JSON Schema of a file format.

    \b
    service  headrace.yaml, with the settings of every installed step and backend (the default)
    prompt   prompts/*.yaml
    policy   policies/*.yaml
    """
    from headrace.config.schema import service_schema, struct_schema

    if kind == "prompt":
        from headrace.prompts.file import PromptFile

        print_json(struct_schema(PromptFile, "prompts/*.yaml"))
    elif kind == "policy":
        from headrace.screening.policy import PolicyFile

        print_json(struct_schema(PolicyFile, "policies/*.yaml"))
    else:
        from headrace.models.box import backend_types
        from headrace.pipeline.compile import step_types

        steps = {name: step.Settings for name, (step, _) in step_types().items()}
        backends = {name: backend.Settings for name, backend in backend_types().items()}
        print_json(service_schema(steps, backends))
