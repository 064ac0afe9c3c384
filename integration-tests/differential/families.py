"""The families of random scripts, by name. Each is a function of seed and number of steps."""

import script

FAMILIES = {
    "pivots": script.write,
}
