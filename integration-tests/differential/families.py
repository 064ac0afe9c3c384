"""The families of random scripts, by name. Each is a function of seed and number of steps."""

import computed
import derived
import expressions
import nested
import questions
import refusals
import script
import sessions
import tables
import windows

FAMILIES = {
    "pivots": script.write,
    "questions": questions.write,
    "tables": tables.write,
    "nested": nested.write,
    "sessions": sessions.write,
    "derived": derived.write,
    "expressions": expressions.write,
    "computed": computed.write,
    "refusals": refusals.write,
    "windows": windows.write,
}
