"""The families of random scripts, by name. Each is a function of seed and number of steps."""

import script
import tables

FAMILIES = {
    "pivots": script.write,
    "tables": tables.write,
}
