/* APR is linked. */

#include "sys/apr.h"

CONC_APR_LINKED
