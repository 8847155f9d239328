/* What a pool and the rest of the process do to each other: children, fork and SIGPIPE. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../csrc/curl/pool.h"
#include "../../csrc/curl/process.h"
#include "check.h"

#define SECOND ((int64_t)1000000)

/* ---- a server in this process: one connection, one response per request -------------------------------------- */

struct server {
    int listening, connection; /* connection: the one that was accepted, or -1 */
    int accepted;
    char url[64];
};

static struct server start_server(void)
{
    struct server server = {.connection = -1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(server.listening, (struct sockaddr *)(void *)&address, sizeof address) == 0, "bind");
    CHECK(listen(server.listening, 8) == 0, "listen");
    CHECK(getsockname(server.listening, (struct sockaddr *)(void *)&address, &size) == 0, "getsockname");
    CHECK(fcntl(server.listening, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    (void)snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    return server;
}

/* Returns what recv does: 0 if the client has closed the connection, -1 if there is nothing. */
static ssize_t serve(struct server *server)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char request[4096];
    const int connection = accept(server->listening, NULL, NULL);
    if (connection >= 0) {
        server->connection = connection;
        server->accepted++;
        (void)fcntl(connection, F_SETFD, FD_CLOEXEC);
    }
    if (server->connection < 0) {
        return -1;
    }
    const ssize_t length = recv(server->connection, request, sizeof request, MSG_DONTWAIT);
    if (length > 0) {
        CHECK(send(server->connection, response, sizeof response - 1, MSG_NOSIGNAL) > 0, "send");
    }
    return length;
}

static void open_pool(struct retab_pool *pool, int events)
{
    *pool = (struct retab_pool){.open = 1, .max_connections = 1, .events = events};
}

static void start(struct retab_pool *pool, struct retab_transfer *transfer, const char *url)
{
    const struct retab_request request = {.method = "GET",
                                          .url = url,
                                          .max_body = 1000,
                                          .timeout = 20 * SECOND,
                                          .connect_timeout = 20 * SECOND,
                                          .expires = retab_pool_now() + 20 * SECOND,
                                          .proxy = ""};
    *transfer = (struct retab_transfer){.pool = NULL};
    CHECK(retab_pool_send(pool, transfer, &request) >= 0, "send");
}

/* Sends a request and receives its response. */
static void fetch(struct retab_pool *pool, struct server *server)
{
    struct retab_transfer transfer;
    start(pool, &transfer, server->url);
    while (transfer.state != RETAB_DONE) {
        (void)serve(server);
        retab_pool_wait(pool, 1000);
    }
    CHECK(transfer.kind == NULL && transfer.status == 200, "%s", transfer.message);
    retab_transfer_close(&transfer);
}

/* ---- children ------------------------------------------------------------------------------------------------ */

/* Returns how many sockets of this process a program would inherit. */
static int inherited_sockets(void)
{
    int count = 0;
    for (int descriptor = 3; descriptor < 256; descriptor++) {
        struct stat status;
        const int flags = fcntl(descriptor, F_GETFD);
        count += flags >= 0 && (flags & FD_CLOEXEC) == 0 && fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
    }
    return count;
}

static void test_program_inherits_no_socket(int events)
{
    struct server server = start_server();
    struct retab_pool pool;
    const int before = inherited_sockets();
    open_pool(&pool, events);
    fetch(&pool, &server);
    CHECK(inherited_sockets() == before, "a program inherits sockets");
    retab_pool_close(&pool);
    (void)close(server.connection);
    (void)close(server.listening);
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child fails");
}

/* What a forked child does with the pool and a transfer of its parent. */
enum use { CLOSE, CANCEL, SEND, USES };

static void use_in_child(enum use use, struct retab_pool *pool, struct retab_transfer *transfer)
{
    if (use == SEND) {
        struct server server = start_server();
        fetch(pool, &server);
        CHECK(server.accepted == 1, "a connection of its own");
        CHECK(transfer->state == RETAB_DONE && strcmp(transfer->kind, "cancelled") == 0, "the parent's transfer");
        CHECK(transfer->sent, "the server may have seen it");
    }
    if (use == CANCEL) {
        retab_transfer_close(transfer);
    }
    retab_pool_close(pool);
    retab_transfer_close(transfer);
    _exit(0);
}

static void test_fork(enum use use, int events)
{
    struct server server = start_server();
    struct retab_pool pool;
    struct retab_transfer transfer;
    open_pool(&pool, events);
    fetch(&pool, &server);
    start(&pool, &transfer, server.url);
    const pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        (void)close(server.listening);
        (void)close(server.connection);
        use_in_child(use, &pool, &transfer);
    }
    wait_for(child);
    while (transfer.state != RETAB_DONE) {
        (void)serve(&server);
        retab_pool_wait(&pool, 1000);
    }
    CHECK(transfer.kind == NULL, "the transfer of the parent: %s", transfer.message);
    retab_transfer_close(&transfer);
    CHECK(serve(&server) == -1, "the connection is still open");
    fetch(&pool, &server);
    CHECK(server.accepted == 1 && pool.connections == 1, "the parent has its connection still");
    retab_pool_close(&pool);
    (void)close(server.connection);
    (void)close(server.listening);
}

/* ---- too few descriptors -------------------------------------------------------------------------------- */

/* No descriptor for epoll, for libcurl or for the connection: in each case, the kind is `connection`. */
static void test_no_descriptors(void)
{
    struct server server = start_server();
    struct rlimit before, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    for (rlim_t more = 0; more < 6; more++) {
        struct retab_pool pool;
        struct retab_transfer transfer;
        none = before;
        none.rlim_cur = (rlim_t)server.listening + 1 + more;
        open_pool(&pool, 1);
        CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0, "setrlimit");
        start(&pool, &transfer, server.url);
        for (int i = 0; i < 100 && transfer.state != RETAB_DONE; i++) {
            retab_pool_step(&pool);
        }
        CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit");
        CHECK(transfer.state != RETAB_DONE || strcmp(transfer.kind, "connection") == 0, "%s: %s", transfer.kind,
              transfer.message);
        CHECK(more > 0 || transfer.state == RETAB_DONE, "there are descriptors after all");
        retab_transfer_close(&transfer);
        retab_pool_close(&pool);
    }
    (void)close(server.listening);
}

static void test_watch_that_fails(void)
{
    struct server server = start_server();
    struct retab_pool pool;
    struct retab_transfer transfer;
    open_pool(&pool, 1);
    const int watch = retab_pool_descriptor(&pool);
    const int copy = dup(watch), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(dup2(null, watch) == watch, "dup2"); /* epoll_ctl fails from now on */
    start(&pool, &transfer, server.url);
    CHECK(transfer.state == RETAB_DONE && strcmp(transfer.kind, "connection") == 0, "%s", transfer.message);
    retab_transfer_close(&transfer);
    CHECK(dup2(copy, watch) == watch, "dup2");
    (void)close(copy);
    (void)close(null);
    start(&pool, &transfer, server.url);
    CHECK(transfer.state == RETAB_RUNNING, "the pool works again: %s", transfer.message);
    retab_transfer_close(&transfer);
    retab_pool_close(&pool);
    (void)close(server.listening);
}

/* ---- SIGPIPE ------------------------------------------------------------------------------------------------- */

static void break_pipe(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    (void)close(ends[0]);
    CHECK(write(ends[1], "x", 1) == -1, "write");
    (void)close(ends[1]);
}

static void test_sigpipe(void)
{
    struct retab_sigpipe state, inner;
    sigset_t pipe_only, pending;
    (void)signal(SIGPIPE, SIG_DFL);
    retab_process_block_sigpipe(&state);
    break_pipe();
    retab_process_restore_sigpipe(&state); /* ends this process unless the signal is gone */
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe_only, NULL) == 0, "block");
    break_pipe();
    retab_process_block_sigpipe(&inner);
    break_pipe();
    retab_process_restore_sigpipe(&inner);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1, "a signal from before stays pending");
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL) == 0, "unblock");
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

static void *initialize(void *result)
{
    *(int *)result = retab_process_init();
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    int results[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, initialize, &results[i]) == 0, "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0 && results[i] == 0, "thread %d", i);
    }
}

int main(void)
{
    test_threads();
    test_sigpipe();
    test_no_descriptors();
    test_watch_that_fails();
    for (int events = 0; events < 2; events++) {
        test_program_inherits_no_socket(events);
        for (int use = 0; use < USES; use++) {
            test_fork((enum use)use, events);
        }
    }
    return 0;
}
