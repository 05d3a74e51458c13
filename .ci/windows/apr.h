/*
 * Included before each file of APR that gcc compiles for Windows.  APR counts on
 * names of Microsoft's headers that mingw-w64 has under other names or in other
 * headers; with these read first it finds them all.
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>
#include <windows.h>
#include <wtypes.h>

#include <accctrl.h>
#include <iphlpapi.h>
#include <shellapi.h>

/* What configure would have found out. */
#define HAVE_ATOMIC_BUILTINS 1
#define HAVE_ATOMIC_BUILTINS64 1
