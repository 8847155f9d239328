/* What libcurl shares with the whole process: its global state, SIGPIPE, and the descriptors that a child would
 * inherit. Nothing here knows of pools or transfers. */
#pragma once

#include <curl/curl.h>
#include <signal.h>

#pragma GCC visibility push(hidden)

/* Initializes libcurl, once per process, in the first thread that calls this. Returns 0, or -1. */
int retab_process_init(void);

/* Between the two calls, SIGPIPE is blocked in this thread and discarded if it arrives: a peer that closes its
 * connection must not kill a program that does not handle SIGPIPE. */
struct retab_sigpipe {
    sigset_t before;
    int was_pending;
};
void retab_process_block_sigpipe(struct retab_sigpipe *state);
void retab_process_restore_sigpipe(const struct retab_sigpipe *state);

/* curl_multi_init and CURLOPT_OPENSOCKETFUNCTION. Programs that this one starts do not inherit the descriptors. */
CURLM *retab_process_new_multi(void);
curl_socket_t retab_process_new_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address);

#pragma GCC visibility pop
