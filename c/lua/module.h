#ifndef LC_MODULE_H
#define LC_MODULE_H

#include <lua.h>

/* The C half of conc; exported. */
#if defined(_WIN32)
#define LC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define LC_EXPORT __attribute__((visibility("default")))
#else
#define LC_EXPORT
#endif

LC_EXPORT int luaopen_conc_core(lua_State *L);

#endif
