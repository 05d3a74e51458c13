#ifndef CONC_WINDOWS_SPAWN_H
#define CONC_WINDOWS_SPAWN_H

/* Between windows_spawn.c and windows_command.c. */

#include "sys/process.h"

/* What CreateProcess wants to know; all from the heap of the C library. */
typedef struct conc_windows_command {
  wchar_t *path;
  wchar_t *line; /* the arguments, quoted */
} conc_windows_command;

apr_status_t conc_windows_command_make(conc_windows_command *c,
                                       const conc_sys_spawn_conf *conf);
/* Also one that could not be made. */
void conc_windows_command_free(conc_windows_command *c);

enum { CONC_INTERRUPT_NAME = 48 };

/* The name of the event that interrupts a process which conc has started. */
void conc_windows_interrupt_name(wchar_t name[CONC_INTERRUPT_NAME],
                                 unsigned long pid);

#endif
