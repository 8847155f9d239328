#include "skip.h"

#include "number.h"

static const char *skip_scalar(struct retab_text *text, const char *p)
{
    struct retab_number number;
    switch (*p) {
    case '"':
        return retab_text_string(text, p);
    case 't':
        return retab_text_word(text, p, "true");
    case 'f':
        return retab_text_word(text, p, "false");
    case 'n':
        return retab_text_word(text, p, "null");
    default:
        p = retab_number_skip(p, &number);
        return p != NULL ? p : retab_text_fail(text, number.error_at, number.message);
    }
}

/* Reads a key and its colon, up to the value. */
static const char *skip_key(struct retab_text *text, const char *p)
{
    if (*p != '"') {
        return retab_text_fail(text, p, "expected a string as key");
    }
    p = retab_text_string(text, p);
    if (p == NULL) {
        return NULL;
    }
    p = retab_text_space(p);
    return *p == ':' ? retab_text_space(p + 1) : retab_text_fail(text, p, "expected ':' after a key");
}

const char *retab_skip_value(struct retab_text *text, const char *p, size_t depth)
{
    size_t open = 0;
    for (;;) { /* a value begins at p; the scratch holds the opening brackets of the containers around it */
        const char kind = *p;
        int is_over = 1;
        if (kind == '{' || kind == '[') {
            if (open == depth) {
                return retab_text_fail(text, p, "nested too deeply");
            }
            if (retab_text_scratch(text, open + 1) == NULL) {
                return NULL;
            }
            text->scratch[open++] = kind;
            p = retab_text_space(p + 1);
            is_over = *p == RETAB_CLOSING(kind);
        } else {
            p = skip_scalar(text, p);
            if (p == NULL) {
                return NULL;
            }
        }
        while (is_over) {
            if (open == 0) {
                return p;
            }
            p = retab_text_space(p);
            is_over = *p != ',';
            if (!is_over) {
                p = retab_text_space(p + 1);
            } else if (*p == RETAB_CLOSING(text->scratch[open - 1])) {
                p++;
                open--;
            } else {
                return retab_text_fail(text, p,
                                       text->scratch[open - 1] == '{' ? "expected ',' or '}'" : "expected ',' or ']'");
            }
        }
        if (text->scratch[open - 1] == '{') {
            p = skip_key(text, p);
            if (p == NULL) {
                return NULL;
            }
        }
    }
}
