/* A walk's heart: what the next request of a walk is, when the walk is over, when it loops.
 *
 * The cursors that a server hands out are compared by Brent's algorithm: with a landmark that moves to the
 * latest cursor after 1, 2, 4, 8 ... steps. It keeps two strings, whatever the length of the walk, and finds
 * a cycle of any length within 3 x (lead-in + cycle) + 6 requests.
 *
 * It knows nothing of HTTP, of pages or of Lua (but for its registration). */
#ifndef RETAB_CURSOR_H
#define RETAB_CURSOR_H

#include <stddef.h>

#include "../compat.h"

struct retab_cursor_text {
    char *bytes;
    size_t length;
};

/* All zero to start with: the walk begins without a cursor. It owns its memory. */
struct retab_cursor {
    struct retab_cursor_text next;     /* what to send as `after`; bytes is NULL on the first request */
    struct retab_cursor_text landmark; /* a cursor that was sent before */
    size_t steps, reach;               /* since the landmark; until it moves */
};

enum retab_cursor_state {
    RETAB_CURSOR_NEXT,     /* another request, with `next` */
    RETAB_CURSOR_OVER,     /* no cursor, or an empty one: the walk is over */
    RETAB_CURSOR_LOOP,     /* a cursor that came before */
    RETAB_CURSOR_NO_MEMORY /* the same call can be made again */
};

/* Moves on to the cursor that came with the last page; NULL where there was none. */
enum retab_cursor_state retab_cursor_advance(struct retab_cursor *cursor, const char *after, size_t length);

void retab_cursor_free(struct retab_cursor *cursor);

/* Adds `cursor` to the table on top. */
void retab_cursor_register(lua_State *L);

#endif
