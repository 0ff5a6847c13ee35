"""`python -m terraficta`."""

from terraficta.commands import main

if __name__ == "__main__":
    main()
