/* One descriptor for many sockets, an epoll or a kqueue instance: it is readable while one of the sockets that it
 * watches is ready. So an event loop watches one descriptor, for reading, whichever sockets are open. Knows nothing of
 * libcurl. */
#pragma once

#pragma GCC visibility push(hidden)

/* The largest number of ready sockets that one call reports. The others are still ready at the next call. */
#define RETAB_WATCH_EVENTS 16

struct retab_watch_event {
    int socket, readable, writable;
};

/* Returns a descriptor that watches nothing yet, or -1 with errno set. The caller owns it and closes it. A child of
 * fork closes its copy of an epoll instance, too; a kqueue is not inherited, and its number may be another file's. */
int retab_watch_open(void);
#if defined(__linux__)
#define RETAB_WATCH_IS_INHERITED 1
#else
#define RETAB_WATCH_IS_INHERITED 0
#endif

/* Sets for what a socket is watched; for neither, it is no longer watched. Returns 0, or -1 with errno set. */
int retab_watch_set(int watch, int socket, int readable, int writable);

/* Waits up to `milliseconds` until a socket is ready. Stores the ready sockets, at most RETAB_WATCH_EVENTS, and returns
 * their number. A socket with an error is both readable and writable. */
int retab_watch_wait(int watch, struct retab_watch_event *events, int milliseconds);

#pragma GCC visibility pop
