/* The library's version. It is defined only here. */
#pragma once

#define RETAB_VERSION "0.2.0"
