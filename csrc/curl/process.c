#define _GNU_SOURCE /* dladdr, SOCK_CLOEXEC */

#include "process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcurl must not be unloaded when a Lua state closes: a thread of its resolver may still run. */
static void pin_libcurl(void)
{
    Dl_info info;
    void *address;
    CURLcode (*const function)(long) = curl_global_init;
    memcpy(&address, &function, sizeof address);
    if (dladdr(address, &info) != 0 && info.dli_fname != NULL) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* The only static state: curl_global_init is not thread-safe before libcurl 7.84. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int initialized;

static void initialize(void)
{
    pin_libcurl();
    initialized = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int retab_process_init(void)
{
    return pthread_once(&once, initialize) == 0 && initialized ? 0 : -1;
}

static int is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static sigset_t only_sigpipe(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

void retab_process_block_sigpipe(struct retab_sigpipe *state)
{
    const sigset_t set = only_sigpipe();
    (void)pthread_sigmask(SIG_BLOCK, &set, &state->before);
    state->was_pending = is_pending();
}

void retab_process_restore_sigpipe(const struct retab_sigpipe *state)
{
    if (!state->was_pending && is_pending()) {
        const sigset_t set = only_sigpipe();
        int signal_number;
        (void)sigwait(&set, &signal_number);
    }
    (void)pthread_sigmask(SIG_SETMASK, &state->before, NULL);
}

/* In many versions of libcurl, a multi handle has a pair of local sockets that a child would inherit. libcurl does not
 * expose them, but they get the two lowest descriptors that are free, so they are looked up there. */
CURLM *retab_process_new_multi(void)
{
    int lowest[2];
    for (int i = 0; i < 2; i++) {
        lowest[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    (void)close(lowest[0]);
    (void)close(lowest[1]);
    CURLM *multi = curl_multi_init();
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        if (getsockname(lowest[i], (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_UNIX) {
            (void)fcntl(lowest[i], F_SETFD, FD_CLOEXEC);
        }
    }
    return multi;
}

curl_socket_t retab_process_new_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
#if defined(SOCK_CLOEXEC)
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
    const curl_socket_t descriptor = socket(address->family, address->socktype, address->protocol);
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
#endif
}
