ROUNDING: float
TURN: float

def give_way() -> None: ...
