#include "tail.h"

#include <string.h>

#include "text.h"

struct value {
    const char *bytes; /* NULL for null */
    size_t length;
};

/* Functions that read return the position after the token and white space; or NULL, also if `p` is NULL. */

static const char *read_token(const char *p, const char *token)
{
    return p != NULL && strncmp(p, token, strlen(token)) == 0 ? retab_text_space(p + strlen(token)) : NULL;
}

/* Reads a string of plain bytes, or null. */
static const char *read_value(const char *p, const char *end, struct value *value)
{
    if (p == NULL || *p != '"') {
        *value = (struct value){NULL, 0};
        return read_token(p, "null");
    }
    const char *const close = retab_text_plain(p + 1, end);
    *value = (struct value){p + 1, (size_t)(close - p) - 1};
    return read_token(close, "\"");
}

static int is_key(const struct value *key, const char *name)
{
    return key->length == strlen(name) && memcmp(key->bytes, name, key->length) == 0;
}

/* Returns the position of the last key list_metadata, or NULL. A comma or a brace stands before it, so its quote begins
 * a string. */
static const char *find_metadata(const char *text, const char *end)
{
    static const char key[] = "\"list_metadata\"";
    const size_t length = sizeof key - 1;
    const char *p = (size_t)(end - text) > length ? end - length : text;
    while (p > text && (*p != '"' || memcmp(p, key, length) != 0)) {
        p--;
    }
    const char *before = p;
    while (before > text && strchr(" \n\r\t", before[-1]) != NULL) {
        before--;
    }
    return before > text && (before[-1] == ',' || before[-1] == '{') ? read_token(p, key) : NULL;
}

enum retab_tail retab_tail_after(const char *text, size_t length, const char **cursor, size_t *cursor_length)
{
    const char *const end = text + length;
    struct value key, value, after = {NULL, 0};
    int seen[2] = {0, 0}; /* before, after */
    const char *p = read_token(read_token(find_metadata(text, end), ":"), "{");
    for (int is_first = 1; p != NULL && *p != '}'; is_first = 0) {
        p = read_value(is_first ? p : read_token(p, ","), end, &key);
        p = read_value(read_token(p, ":"), end, &value);
        const int is_after = p != NULL && is_key(&key, "after");
        if (p == NULL || (!is_after && !is_key(&key, "before")) || seen[is_after]++ > 0) {
            return RETAB_TAIL_NOT_PLAIN;
        }
        after = is_after ? value : after;
    }
    if (read_token(read_token(p, "}"), "}") != end) {
        return RETAB_TAIL_NOT_PLAIN;
    }
    *cursor = after.bytes;
    *cursor_length = after.length;
    return after.length > 0 ? RETAB_TAIL_CURSOR : RETAB_TAIL_NONE;
}
