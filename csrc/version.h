#define RETAB_VERSION "0.2.0"
