/* One descriptor that stands for many sockets: it is readable while one of the sockets that it watches is ready. An
 * event loop then has one descriptor to watch, always for the same, however many sockets come and go. It is an epoll
 * or a kqueue instance. It knows nothing of libcurl. */
#pragma once

#pragma GCC visibility push(hidden)

/* The largest number of ready sockets that one call reports. The others are still ready at the next call. */
#define RETAB_WATCH_EVENTS 16

struct retab_watch_event {
    int socket, readable, writable;
};

/* Returns a descriptor that watches nothing yet, or -1 with errno set. The caller owns it and closes it. A child of
 * fork that has an epoll instance closes it too; it does not inherit a kqueue, whose number is then another file's. */
int retab_watch_open(void);
#if defined(__linux__)
#define RETAB_WATCH_IS_INHERITED 1
#else
#define RETAB_WATCH_IS_INHERITED 0
#endif

/* Watches a socket for this and for nothing else; for neither, the socket is no longer watched. Returns 0, or -1 with
 * errno set. */
int retab_watch_set(int watch, int socket, int readable, int writable);

/* Waits up to `milliseconds` until a socket is ready. Fills in the sockets that are, at most RETAB_WATCH_EVENTS, and
 * returns their number. A socket with an error is ready for both. */
int retab_watch_wait(int watch, struct retab_watch_event *events, int milliseconds);

#pragma GCC visibility pop
