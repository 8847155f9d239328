#include "tail.h"

#include <string.h>

#include "text.h"

/* The text up to `end` is still to be read, backwards. */
struct tail {
    const char *start, *end;
};

struct value {
    const char *bytes; /* NULL for null */
    size_t length;
};

static void skip_space(struct tail *t)
{
    while (t->end > t->start && strchr(" \n\r\t", t->end[-1]) != NULL && t->end[-1] != '\0') {
        t->end--;
    }
}

/* Reads a token of these bytes, and white space before it. Returns 0 where there is something else. */
static int read_token(struct tail *t, const char *token)
{
    const size_t length = strlen(token);
    if ((size_t)(t->end - t->start) < length || memcmp(t->end - length, token, length) != 0) {
        return 0;
    }
    t->end -= length;
    skip_space(t);
    return 1;
}

/* Reads a string from its closing quote on. Its opening quote has no backslash before it, since the token that the
 * caller reads next stands there. */
static int read_string(struct tail *t, struct value *value)
{
    if (t->end == t->start || t->end[-1] != '"') {
        return 0;
    }
    const char *const close = t->end - 1;
    const char *p = close;
    while (p > t->start && retab_text_is_plain(p[-1])) {
        p--;
    }
    if (p == t->start || p[-1] != '"') {
        return 0;
    }
    *value = (struct value){p, (size_t)(close - p)};
    t->end = p - 1;
    skip_space(t);
    return 1;
}

static int read_value(struct tail *t, struct value *value)
{
    *value = (struct value){NULL, 0};
    return read_token(t, "null") || read_string(t, value);
}

static int is_key(const struct value *key, const char *name)
{
    return key->length == strlen(name) && memcmp(key->bytes, name, key->length) == 0;
}

/* Reads a member: its value, its colon and its key. */
static int read_member(struct tail *t, struct value *key, struct value *value)
{
    return read_value(t, value) && read_token(t, ":") && read_string(t, key);
}

enum retab_tail retab_tail_after(const char *text, size_t length, const char **cursor, size_t *cursor_length)
{
    struct tail t = {text, text + length};
    struct value key, value, after = {NULL, 0};
    int befores = 0, afters = 0;
    skip_space(&t);
    if (!read_token(&t, "}") || !read_token(&t, "}")) {
        return RETAB_TAIL_NOT_PLAIN;
    }
    int is_over = read_token(&t, "{");
    while (!is_over) {
        if (!read_member(&t, &key, &value)) {
            return RETAB_TAIL_NOT_PLAIN;
        }
        if (is_key(&key, "after")) {
            after = value;
            afters++;
        } else if (is_key(&key, "before")) {
            befores++;
        } else {
            return RETAB_TAIL_NOT_PLAIN;
        }
        is_over = read_token(&t, "{");
        if (afters > 1 || befores > 1 || (!is_over && !read_token(&t, ","))) {
            return RETAB_TAIL_NOT_PLAIN;
        }
    }
    if (!read_token(&t, ":") || !read_string(&t, &key) || !is_key(&key, "list_metadata") ||
        (!read_token(&t, ",") && !read_token(&t, "{"))) {
        return RETAB_TAIL_NOT_PLAIN;
    }
    *cursor = after.bytes;
    *cursor_length = after.length;
    return after.length > 0 ? RETAB_TAIL_CURSOR : RETAB_TAIL_NONE;
}
