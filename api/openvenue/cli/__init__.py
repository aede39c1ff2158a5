"""The command line."""


def main() -> None:
    """Run `openvenue`."""
    from openvenue.first_process import end_at_sigterm

    end_at_sigterm()  # Before imports that take a moment.
    from openvenue.cli.main import app

    app()
