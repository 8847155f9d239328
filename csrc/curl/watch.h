/* One descriptor in the place of many: it is readable as long as one of the sockets that it watches is ready. So an
 * event loop has a single descriptor to watch, always for the same, however many sockets come and go. By epoll, or
 * kqueue. */
#ifndef RETAB_WATCH_H
#define RETAB_WATCH_H

/* How many ready sockets are told of at a time; what is left is still ready the next time. */
#define RETAB_WATCH_EVENTS 16

struct retab_watch_event {
    int socket, readable, writable;
};

/* A descriptor that watches nothing yet, for the caller to close; -1 where there can be none. */
int retab_watch_open(void);

/* From now on a socket is watched for this, and for nothing else; for neither, it is let go of. One that is closed is
 * so by itself. 0, or -1 where that can't be. */
int retab_watch_set(int watch, int socket, int readable, int writable);

/* Which sockets are ready now, in room for RETAB_WATCH_EVENTS. How many there are. An error of a socket makes it ready
 * for both. */
int retab_watch_ready(int watch, struct retab_watch_event *events);

#endif
