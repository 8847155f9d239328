/* What libcurl shares with the whole process: its global state, SIGPIPE, and the descriptors that a child would
 * inherit. Nothing here knows of pools or transfers. */
#pragma once

#include <curl/curl.h>
#include <signal.h>

#pragma GCC visibility push(hidden)

/* Initializes libcurl, once per process, in whichever thread comes first. Returns 0, or -1. */
int retab_process_init(void);

/* SIGPIPE is blocked in this thread between the two calls, and one that arrives meanwhile is discarded: a peer that
 * closes its connection must not kill a program that leaves SIGPIPE alone. */
struct retab_sigpipe {
    sigset_t before;
    int was_pending;
};
void retab_process_block_sigpipe(struct retab_sigpipe *state);
void retab_process_restore_sigpipe(const struct retab_sigpipe *state);

/* curl_multi_init and CURLOPT_OPENSOCKETFUNCTION, with descriptors that a program started by this one does not
 * inherit. */
CURLM *retab_process_new_multi(void);
curl_socket_t retab_process_new_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address);

#pragma GCC visibility pop
