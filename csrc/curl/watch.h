/* One descriptor that stands for many sockets: it is readable while one of the sockets that it watches is ready. An
 * event loop then has one descriptor to watch, always for the same, however many sockets come and go. It is an epoll
 * or a kqueue instance. It knows nothing of libcurl. */
#ifndef RETAB_WATCH_H
#define RETAB_WATCH_H

#pragma GCC visibility push(hidden)

/* The largest number of ready sockets that one call reports. The others are still ready at the next call. */
#define RETAB_WATCH_EVENTS 16

struct retab_watch_event {
    int socket, readable, writable;
};

/* Returns a descriptor that watches nothing yet, or -1 with errno set. The caller owns it. */
int retab_watch_open(void);

void retab_watch_close(int watch);

/* Closes what a forked child has inherited of the descriptor, so that its parent does not notice. */
void retab_watch_disown(int watch);

/* Watches a socket for this and for nothing else; for neither, the socket is no longer watched. Returns 0, or -1 with
 * errno set. */
int retab_watch_set(int watch, int socket, int readable, int writable);

/* Fills in the sockets that are ready now, at most RETAB_WATCH_EVENTS, and returns their number. A socket with an
 * error is ready for both. */
int retab_watch_ready(int watch, struct retab_watch_event *events);

#pragma GCC visibility pop

#endif
