/* A transfer: one request and its response, on one easy handle of libcurl. This file prepares the handle, receives the
 * response, and says how the transfer ended. It knows nothing of Lua, nor of other transfers; pool.h runs them.
 *
 * The life of a transfer, and the functions that move it on:
 *
 *              send             start               finish               close
 *      NEW ──────────▶ QUEUED ──────────▶ RUNNING ──────────▶ DONE ─────────────▶ CLOSED
 *                         └────────────── finish ──────────────▲
 *
 * send, start and finish belong to the pool. A deadline, an error, or the end of the pool finish a transfer that is not
 * done. A transfer that is DONE has a response or an error. Its handle is freed, and it no longer needs its pool.
 * close finishes a transfer that is not done, and frees all that it has, in any state and any number of times. A
 * transfer that is all zero is NEW. */
#pragma once

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#include "deadline.h"

#pragma GCC visibility push(hidden)

struct retab_buffer {
    char *bytes;
    size_t length, room;
};

enum retab_state { RETAB_NEW, RETAB_QUEUED, RETAB_RUNNING, RETAB_DONE, RETAB_CLOSED };

struct retab_transfer {
    struct retab_pool *pool;
    struct retab_list *list;             /* of the pool that it is in, or NULL */
    struct retab_transfer *next, **link; /* in the list; link: the pointer to this */
    enum retab_state state;
    int64_t id; /* counts the transfers of the pool, from 1 */
    CURL *easy;
    struct curl_slist *headers; /* of the request; the caller may fill it in before sending */
    struct retab_deadline deadline;
    size_t max_body, head_bytes;    /* head_bytes: received so far, status lines and interim responses included */
    struct retab_buffer head, body; /* of the response: its header lines without the status line, its body */
    int in_head;                    /* a status line was received, and not yet the empty line that ends its header */
    const char *refused;            /* why the response was refused while it arrived, or NULL */
    int status, sent;               /* DONE: of the response; sent: the server may have seen the request */
    const char *kind;               /* DONE: the kind of error (lua/retab/error.lua), or NULL for a response */
    char message[CURL_ERROR_SIZE];  /* the message of the error */
};

/* What to send. The caller owns everything; libcurl copies what it needs. */
struct retab_request {
    const char *method, *url;
    const char *body; /* NULL: the request has none */
    size_t body_length, max_body;
    int64_t timeout, connect_timeout, expires; /* as in struct retab_deadline */
    const char *ca_file, *ca_path, *proxy;     /* NULL: the default of libcurl; proxy "": no proxy */
};

/* Creates the easy handle and sets its options. Returns CURLE_OK, CURLE_OUT_OF_MEMORY, or another code with an error
 * message in transfer->message. */
CURLcode retab_transfer_prepare(struct retab_transfer *transfer, const struct retab_request *request);

/* Frees the easy handle and the headers of the request. */
void retab_transfer_release(struct retab_transfer *transfer);

/* Returns nonzero if the connection is established, TLS included. */
int retab_transfer_is_connected(const struct retab_transfer *transfer);

/* Adds credit: `interval` does not count against the timeouts of the transfer. */
void retab_transfer_credit(struct retab_transfer *transfer, int64_t interval);

/* Sets kind and message. Copies the message; the kind must be a constant. */
void retab_transfer_fail(struct retab_transfer *transfer, const char *kind, const char *message);

/* Sets kind and message, after libcurl ended the transfer with `code`. */
void retab_transfer_conclude(struct retab_transfer *transfer, CURLcode code);

/* Sets kind and message, after the pool ended the transfer because it was late. */
void retab_transfer_conclude_late(struct retab_transfer *transfer, enum retab_late late);

#pragma GCC visibility pop
