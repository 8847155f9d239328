/* Where the next cursor stands in the tail of a page, so that the next request can leave before the page is decoded. It
 * is a hint: the decoded page decides. Knows nothing of Lua. */
#ifndef RETAB_TAIL_H
#define RETAB_TAIL_H

#include <stddef.h>

#pragma GCC visibility push(hidden)

enum retab_tail {
    RETAB_TAIL_CURSOR,   /* there is a cursor */
    RETAB_TAIL_NONE,     /* there is none: null, an empty string, or no `after` at all */
    RETAB_TAIL_NOT_PLAIN /* decode first */
};

/* Reads `list_metadata.after` from a text that ends in a NUL. The tail is plain if list_metadata is the last member of
 * the text and has no members but before and after, each once at most, each null or a string of plain bytes. Then
 * decoding finds the same cursor, if it accepts the text at all: of two equal keys the last one counts. */
enum retab_tail retab_tail_after(const char *text, size_t length, const char **cursor, size_t *cursor_length);

#pragma GCC visibility pop

#endif
