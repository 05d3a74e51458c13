#ifndef CONC_CASES_H
#define CONC_CASES_H

/* The cases of select (core/select.h) that are about processes and sockets. */

#include "core/select.h"
#include "ipc/conn.h"
#include "ipc/process.h"

/* The end of a process that was started. */
void conc_case_process(conc_case *c, conc_process *p);

/*
 * A message.  When it is taken the caller has it as after conc_conn_receive;
 * at the end, and when this side is closed, it is CONC_CLOSED.
 */
void conc_case_receive(conc_case *c, conc_conn *conn);

/* There is a message or the end: nothing is taken. */
void conc_case_readable(conc_case *c, conc_conn *conn);

/* The same of a listener, and of any handle. */
void conc_case_acceptable(conc_case *c, conc_listener *l);
void conc_case_handle(conc_case *c, conc_handle h);

#endif
