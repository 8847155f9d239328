/* Passing over values of a text that nobody selected: they are checked like all others, and nothing is built. */
#pragma once

#include "text.h"

#pragma GCC visibility push(hidden)

/* Reads a value that may open `depth` containers at once. Returns the position after it; or NULL, with the error of the
 * text set. Uses the scratch. */
const char *retab_skip_value(struct retab_text *text, const char *p, size_t depth);

#pragma GCC visibility pop
