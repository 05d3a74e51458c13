#ifndef LC_MODULE_H
#define LC_MODULE_H

#include "include/conc.h" /* declares luaopen_conc_core */

#define LC_EXPORT CONC_API

#endif
