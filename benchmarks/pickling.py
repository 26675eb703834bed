"""Compare the allow-list pickle with pickle itself: ``make bench-pickling`` (QUICK=1 for a short run).

For plain values, loads is compared with a C unpickler that reads the same opcodes and whose find_class refuses
everything. For typed values, it is compared with the recipe of Python's documentation: an exact allow-list, then
super().find_class, reading the standard pickle of the same value. dumps is compared with pickle.dumps. The case
"unchanged" is a session that has not changed. Two columns show the parts of dumps, as ratios to pickle.dumps: "pickler"
is a reused C pickler without a memo, and "match" is the regular expression of the grammar.
"""

import pickle
from io import BytesIO

from harness import measure, ratio
from payloads import PAYLOADS

from sealedsession.serialization.limits import DEFAULT_LIMITS
from sealedsession.serialization.pickle_grammar import Grammar
from sealedsession.serialization.safe_pickle import PickleSerializer
from sealedsession.serialization.tagged_json import JsonSerializer


class Refusing(pickle.Unpickler):
    """Refuse every global."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(name)


_SAFE = {
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "timedelta"), ("datetime", "timezone"),
    ("decimal", "Decimal"), ("uuid", "UUID"), ("builtins", "set"),
}  # fmt: skip


class Discard:
    """A file that discards all data."""

    def write(self, data: bytes) -> None:
        pass


class Recipe(pickle.Unpickler):
    """The recipe of Python's documentation."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in _SAFE:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(name)


def main() -> None:
    ours, tagged = PickleSerializer(), JsonSerializer()
    check = Grammar(DEFAULT_LIMITS).check
    pickler = pickle.Pickler(Discard(), 4)
    pickler.fast = True
    print("ratios; the control is the reference measured twice\n")
    print(
        f"{'payload':8} {'bytes':>6} {'loads':>6} {'dumps':>6} {'pickler':>8} {'match':>6} {'unchanged':>10} "
        f"{'json loads':>11} {'control':>8}"
    )
    for name, value in PAYLOADS.items():
        payload, text, stock = ours.dumps(value), tagged.dumps(value), pickle.dumps(value, 5)
        framed = b"\x80\x04\x95" + len(payload).to_bytes(8, "little") + payload
        typed = name == "typed"

        def reference(typed: bool = typed, framed: bytes = framed, stock: bytes = stock) -> object:
            return Recipe(BytesIO(stock)).load() if typed else Refusing(BytesIO(framed)).load()

        times = measure(
            {
                "loads": lambda payload=payload: ours.loads(payload),
                "dumps": lambda value=value: ours.dumps(value),
                "unchanged": lambda value=value, payload=payload: ours.dumps(value, payload),
                "json loads": lambda text=text: tagged.loads(text),
                "reference loads": reference,
                "control": reference,
                "pickler": lambda value=value: pickler.dump(value),
                "match": lambda payload=payload: check(payload),
                "reference dumps": lambda value=value: pickle.dumps(value, 5),
            }
        )
        print(
            f"{name:8} {len(payload):6} {ratio(times, 'loads', 'reference loads'):6.2f} "
            f"{ratio(times, 'dumps', 'reference dumps'):6.2f} {ratio(times, 'pickler', 'reference dumps'):8.2f} "
            f"{ratio(times, 'match', 'reference dumps'):6.2f} {ratio(times, 'unchanged', 'reference dumps'):10.2f} "
            f"{ratio(times, 'json loads', 'reference loads'):11.2f} {ratio(times, 'control', 'reference loads'):8.2f}"
        )


if __name__ == "__main__":
    main()
