/* The one place of the library's version. */
#ifndef RETAB_VERSION_H
#define RETAB_VERSION_H

#define RETAB_VERSION "0.2.0"

#endif
