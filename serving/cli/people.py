"""Verbs of people's rights: opt out and in, delete a tag, erase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from features.erasure.erasures import Receipt
    from features.settings import Settings

PlatformOption = Annotated[str | None, typer.Option(help="Platform of the account, as events name it.")]
AccountOption = Annotated[str | None, typer.Option(help="The account's id on it; prompted for where left out.")]
PersonOption = Annotated[str | None, typer.Option(help="Or the person's key of 32 hexadecimal digits.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    people = typer.Typer(no_args_is_help=True, help="People's rights: opt out, delete a tag, be erased.")
    people.command("opt-out")(opt_out)
    people.command("opt-in")(opt_in)
    people.command("delete-tag")(delete_tag)
    people.command("erase")(erase)
    people.command("erasures")(erasures)
    app.add_typer(people, name="people")


def opt_out(platform: PlatformOption = None, account: AccountOption = None, person: PersonOption = None) -> None:
    """Personalise somebody no more, from the next request on (关闭个性化推荐)."""
    from features.rights.ledger import opt_out as say

    settings, key = _who(platform, account, person)
    say(settings, _keys(settings, key))
    typer.echo("not personalised from the next request on; next: zhongcao people opt-in takes it back")


def opt_in(platform: PlatformOption = None, account: AccountOption = None, person: PersonOption = None) -> None:
    """Take an opt-out back; what the log says about consent counts again."""
    from features.rights.ledger import opt_in as say

    settings, key = _who(platform, account, person)
    say(settings, _keys(settings, key))
    typer.echo("the opt-out is taken back; next: zhongcao retrain fills the stores with their rows again")


def delete_tag(
    tag: Annotated[str, typer.Argument(help="Id of the tag.")],
    platform: PlatformOption = None,
    account: AccountOption = None,
    person: PersonOption = None,
) -> None:
    """Never infer a tag of somebody again, and delete it from what was written (删除标签)."""
    from serving.rights.rights_answers import forget_tag

    settings, key = _who(platform, account, person)
    removed = forget_tag(settings, _keys(settings, key), tag)
    typer.echo(f"the tag is never inferred of them again; {removed:,} lines were deleted from batch outputs")


def erase(
    platform: PlatformOption = None,
    account: AccountOption = None,
    person: PersonOption = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Finish what is under way, and erase nobody else.")
    ] = False,
) -> None:
    """Erase somebody with all their accounts from every place (删除个人信息), and print the receipt."""
    from features.settings import load_settings
    from serving.rights.erasure import erase_person, finish

    if pending:
        settings = load_settings()
    else:
        settings, key = _who(platform, account, person)
        erase_person(settings, key)
    for receipt in finish(settings):
        _print(receipt)
    typer.echo("next: zhongcao retrain trains without them")


def erasures() -> None:
    """List the receipts of all erasures."""
    from features.erasure.erasures import receipts
    from features.settings import load_settings

    found = receipts(load_settings())
    for receipt in found:
        _print(receipt)
    if not found:
        typer.echo("nobody was erased; next: zhongcao people erase")


def _who(platform: str | None, account: str | None, person: str | None) -> tuple[Settings, str]:
    """Return the key that somebody is named by; an id that is prompted for is in no history of commands."""
    import re

    from features.errors import RequestError
    from features.people.identity import account_key, load_key
    from features.settings import load_settings

    settings = load_settings()
    if person is not None and platform is None and account is None:
        if not re.fullmatch(r"[0-9a-f]{32}", person):
            raise RequestError("a person's key has 32 hexadecimal digits", next_step="or name platform and account")
        return settings, person
    if platform is None or person is not None:
        raise RequestError("say who it is", next_step="give --platform and --account, or --person alone")
    named = typer.prompt("account", hide_input=True) if account is None else account
    return settings, account_key(load_key(settings), platform, named.strip(" \t\r"))


def _keys(settings: Settings, key: str) -> tuple[str, ...]:
    from features.erasure.person_keys import person_keys

    return person_keys(settings, key).all


def _print(receipt: Receipt) -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps(asdict(receipt), indent=1))
