"""The commands `config show` and `config schema`."""

from pathlib import Path

import click


@click.group()
def config() -> None:
    """Look at configurations."""


@config.command()
@click.argument("config_file", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting; may be repeated.")
def show(config_file: Path, overrides: tuple[str, ...]) -> None:
    """Print a configuration whole, with every default and every change, after checking it.

    CONFIG is a YAML file, or the name of one that ships with the package, such as nwucla_small.
    """
    from pcan_pose.config import load_config, to_yaml

    click.echo(to_yaml(load_config(config_file, overrides)), nl=False)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print the JSON schema, for editors.")
def schema(as_json: bool) -> None:
    """Print every setting with its type, default and meaning."""
    import json

    from pcan_pose.config import RunConfig, describe_keys

    if as_json:
        click.echo(json.dumps(RunConfig.model_json_schema(), indent=1))
        return
    for key, kind, default, meaning in describe_keys():
        click.echo(f"{key}: {kind} = {default}\n    {meaning}")
