/* The body of a response as a userdata (bytes.h): it stays in the buffer in which it arrived until it is closed. To Lua
 * it has #, tostring and close. */
#ifndef RETAB_BODY_H
#define RETAB_BODY_H

#include "../bytes.h"
#include "pool.h"

#pragma GCC visibility push(hidden)

struct retab_body {
    struct retab_bytes bytes;
    struct retab_pool *pool;
    struct retab_kit *kit; /* NULL: closed */
};

/* Registers the type. Leaves the stack as it was. */
void retab_body_register(lua_State *L);

/* Pushes a closed body, with the value on top of the stack in its place: the body keeps that value alive, which must
 * keep the pool. */
struct retab_body *retab_body_push(lua_State *L);

/* Gives a closed body the response of a transfer that is DONE without an error. Calls no Lua. */
void retab_body_open(struct retab_body *body, struct retab_transfer *transfer);

/* Closes a body in any state, also while it is read. Its kit goes back to the pool. */
void retab_body_close(struct retab_body *body);

#pragma GCC visibility pop

#endif
