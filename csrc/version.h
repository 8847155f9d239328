<<<<<<< HEAD
/* The one place of the library's version. */
=======
/* The version of this library. CMake reads it from here. */
>>>>>>> 35416de (curl: transfer, deadline, process and body are files of their own; time is a parameter)
#ifndef RETAB_VERSION_H
#define RETAB_VERSION_H

#define RETAB_VERSION "0.2.0"

#endif
