#ifndef CONC_LOAN_H
#define CONC_LOAN_H

/*
 * Bytes that one thread lends to others, who copy them straight from where they
 * are: a large string goes from one Lua state into another with one copy.  The
 * lender keeps the bytes as they are while anybody else has a reference; when
 * it cannot any longer, it settles, and the loan has a copy of its own.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/object.h"

typedef struct conc_loan conc_loan;

extern const conc_class conc_loan_class;

/* With one reference, the lender's; NULL: no memory. */
conc_loan *conc_loan_new(const char *bytes, size_t size);

/*
 * Where the bytes are, until conc_loan_return is told that address.  The lender
 * may have to wait for that: there is nothing but a copy in between.  NULL: the
 * lender had to settle and had no memory.
 */
const char *conc_loan_borrow(conc_loan *l, size_t *size);
void conc_loan_return(conc_loan *l, const char *bytes);

/* For the lender: has nobody else a reference? */
bool conc_loan_idle(conc_loan *l);

/* For the lender, before the bytes go: afterwards nobody looks at them. */
void conc_loan_settle(conc_loan *l);

#endif
