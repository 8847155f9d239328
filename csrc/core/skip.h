/* Reads values that are not selected: they are checked like all others, and nothing is built. Knows nothing of Lua. */
#pragma once

#include "text.h"

#pragma GCC visibility push(hidden)

/* Reads the value at `p`, in which at most `depth` containers may be open at once. Returns the position after it; or
 * NULL, with the error of the text set. Overwrites the scratch buffer. */
const char *retab_skip_value(struct retab_text *text, const char *p, size_t depth);

#pragma GCC visibility pop
