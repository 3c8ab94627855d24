"""Run the command line as ``python -m monai_app``."""

from monai_app.cli import main

if __name__ == "__main__":
    main()
