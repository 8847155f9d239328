/* A transfer: one request and its response, on one easy handle of libcurl. This file prepares the handle, receives the
 * response, and says how the transfer ended. It knows nothing of Lua, nor of other transfers; pool.h runs them.
 *
 * The life of a transfer, and the functions that move it on:
 *
 *              send             start               finish                take
 *      NEW ──────────▶ QUEUED ──────────▶ RUNNING ──────────▶ DONE ──────────────▶ CLOSED
 *                         └────────────── finish ──────────────▲                     ▲
 *                                                          close, from any state ────┘
 *
 * send, start and finish belong to the pool. A deadline, an error, or the end of the pool finish a transfer that is not
 * done. A transfer that is DONE has a response or an error; it no longer needs its pool. take hands its response
 * over; close gives it up.
 *
 * A transfer owns its kit (handle and buffers) from send on; take gives the kit to the caller. The kit of a transfer
 * that is closed, or ends with an error, goes back to the pool. A transfer that is all zero is NEW. */
#ifndef RETAB_TRANSFER_H
#define RETAB_TRANSFER_H

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#include "deadline.h"

#pragma GCC visibility push(hidden)

/* Bytes that were received. A NUL follows the last one, unless there are none. */
struct retab_buffer {
    char *bytes;
    size_t length, room;
};

struct retab_kit {
    CURL *easy;
    struct retab_buffer head, body; /* of the response: its header lines without the status line, its body */
    struct retab_kit *next;         /* in the pool's list of spare kits */
};

enum retab_state { RETAB_NEW, RETAB_QUEUED, RETAB_RUNNING, RETAB_DONE, RETAB_CLOSED };

struct retab_transfer {
    struct retab_pool *pool;
    struct retab_list *list; /* of the pool; NULL: in none */
    struct retab_transfer *previous, *next;
    struct curl_slist *headers; /* of the request; the caller may fill it in before sending */
    struct retab_kit *kit;      /* NULL unless the transfer is QUEUED, RUNNING, or DONE with a response */
    enum retab_state state;
    int64_t id; /* counts the transfers of the pool, from 1 */
    struct retab_deadline deadline;
    size_t max_body, head_bytes;   /* head_bytes: received so far, status lines and interim responses included */
    int in_head;                   /* a status line was received, and not yet the empty line that ends its header */
    const char *refused;           /* why the response was refused while it arrived; NULL: it was not */
    int status, sent;              /* DONE: of the response; sent: the server may have seen the request */
    const char *kind;              /* DONE: the kind of error (lua/retab/error.lua), or NULL for a response */
    char message[CURL_ERROR_SIZE]; /* the words for it */
};

/* What to send. The caller owns everything; libcurl copies what it needs. */
struct retab_request {
    const char *method, *url;
    const char *body; /* NULL: the request has none */
    size_t body_length, max_body;
    int64_t timeout, connect_timeout, expires; /* as in struct retab_deadline */
    const char *ca_file, *ca_path, *proxy;     /* NULL: what libcurl does by default; proxy "": none is used */
};

/* Returns a kit with an easy handle, or NULL: not enough memory. */
struct retab_kit *retab_kit_new(void);
void retab_kit_free(struct retab_kit *kit);

/* Makes a kit that was used ready for another transfer: nothing in it points to the last one. */
void retab_kit_reset(struct retab_kit *kit);

/* Sets the options of the transfer's easy handle. Returns CURLE_OK, or CURLE_OUT_OF_MEMORY; any other code is the
 * caller's to report, with the words in transfer->message. */
CURLcode retab_transfer_prepare(struct retab_transfer *transfer, const struct retab_request *request);

/* Returns nonzero once the connection stands, TLS included. */
int retab_transfer_is_connected(const struct retab_transfer *transfer);

/* Does not count `interval` against the time that the transfer has. */
void retab_transfer_credit(struct retab_transfer *transfer, int64_t interval);

/* Sets kind and message, copying it. */
void retab_transfer_fail(struct retab_transfer *transfer, const char *kind, const char *message);

/* Sets kind and message, after libcurl ended the transfer with `code`. */
void retab_transfer_conclude(struct retab_transfer *transfer, CURLcode code);

/* Sets kind and message, after the pool ended the transfer because it was late. */
void retab_transfer_conclude_late(struct retab_transfer *transfer, enum retab_late late);

#pragma GCC visibility pop

#endif
