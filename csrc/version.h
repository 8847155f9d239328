/* The one place of the library's version. */
#pragma once

#define RETAB_VERSION "0.2.0"
