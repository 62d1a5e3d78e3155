"""`ctloupe doctor`: what this machine has, and what each missing part would need."""

from __future__ import annotations

import json

import typer

from ctloupe.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("doctor")(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Show torch build, devices, bf16, memory, disk, and optional parts with how to get them.

    Example: ctloupe doctor --json
    """
    from ctloupe.doctor import examine

    facts = examine()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    print(f"ctloupe {facts['ctloupe']}, Python {facts['python']}, {facts['system']}")
    print(f"torch {facts['torch']['version']} ({facts['torch']['build']})")
    for device in facts["devices"]:
        bf16 = "bf16 in hardware" if device["bf16"] else "no bf16 in hardware, float32 is used"
        memory = f", {device['memory_gb']:.0f} GB" if device["memory_gb"] else ""
        print(f"  {device['name']}: {device['description']}{memory}, {bf16}")
    print(f"memory {facts['memory_gb']['available']:.1f} GB free of {facts['memory_gb']['total']:.1f} GB")
    print(f"disk   {facts['disk_gb']['free']:.0f} GB free here")
    print("libraries " + ", ".join(f"{name} {number}" for name, number in facts["libraries"].items()))
    for extra in facts["extras"]:
        state = extra["version"] or f"absent; {extra['need']}"
        print(f"  {extra['name']}: {state} ({extra['for']})")
    print(f"  convolutions on a CPU: {facts['convolutions']}")
    printer = facts["browser"] or "absent; any other one makes a PDF of a report by printing it"
    print(f"  Chromium or Chrome: {printer} (evaluate --pdf)")
    for problem in facts["problems"]:
        print(f"problem: {problem}")
