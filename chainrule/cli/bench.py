def bench() -> None:
    "x"
