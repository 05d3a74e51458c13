/* Paths and arguments as Windows wants them; interrupts. */

#include "sys/windows.h"

#include "sys/windows_spawn.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- Text that grows ---- */

/* Sticky: once there was no memory, nothing more is written. */
struct text {
  wchar_t *p;
  size_t n, room;
  bool failed;
};

static void add(struct text *t, wchar_t c) {
  if (t->n == t->room && !t->failed) {
    size_t room = t->room == 0 ? 256 : 2 * t->room;
    wchar_t *more = realloc(t->p, room * sizeof *more);
    t->failed = more == NULL;
    if (!t->failed) {
      t->p = more;
      t->room = room;
    }
  }
  if (!t->failed)
    t->p[t->n++] = c;
}

/* ---- Arguments ---- */

/*
 * As the C library's start-up takes them apart again: in quotes, where a quote
 * and the backslashes before a quote, also the closing one, have a backslash
 * each.
 */
static void add_quoted(struct text *t, const wchar_t *s) {
  size_t slashes = 0;
  add(t, L'"');
  for (; *s != 0; s++) {
    if (*s == L'"')
      for (size_t i = 0; i <= slashes; i++)
        add(t, L'\\');
    slashes = *s == L'\\' ? slashes + 1 : 0;
    add(t, *s);
  }
  for (size_t i = 0; i < slashes; i++)
    add(t, L'\\');
  add(t, L'"');
}

static wchar_t *line_of(const char *const *argv) {
  struct text t = {0};
  for (; *argv != NULL; argv++) {
    wchar_t *wide = conc_windows_wide(*argv);
    if (wide == NULL)
      t.failed = true;
    else
      add_quoted(&t, wide);
    free(wide);
    add(&t, argv[1] != NULL ? L' ' : 0);
  }
  if (t.failed) {
    free(t.p);
    return NULL;
  }
  return t.p;
}

/* ---- Commands ---- */

apr_status_t conc_windows_command_make(conc_windows_command *c,
                                       const conc_sys_spawn_conf *conf) {
  *c = (conc_windows_command){.path = conc_windows_wide(conf->path),
                              .line = line_of(conf->argv)};
  return c->path != NULL && c->line != NULL ? APR_SUCCESS : APR_ENOMEM;
}

void conc_windows_command_free(conc_windows_command *c) {
  free(c->path);
  free(c->line);
}

/* ---- Interrupts ---- */

/*
 * Ctrl-C goes to all programs of a console, and a program without one gets none.
 * So a parent has an event for each child, and who is born with one listens to
 * it and does what Ctrl-C would do.
 */
void conc_windows_interrupt_name(wchar_t name[CONC_INTERRUPT_NAME],
                                 unsigned long pid) {
  (void)swprintf(name, CONC_INTERRUPT_NAME, L"Local\\conc.interrupt.%lu", pid);
}

/* The C library forgets a handler before it calls it. */
static VOID CALLBACK on_interrupt(PVOID arg, BOOLEAN timed_out) {
  void (*handler)(int) = signal(SIGINT, SIG_IGN);
  (void)arg, (void)timed_out;
  if (handler == SIG_IGN)
    return;
  if (handler == SIG_DFL)
    conc_sys_end_now(CONC_KILLED + SIGINT);
  (void)signal(SIGINT, handler);
  (void)raise(SIGINT);
}

/* For as long as the process lives. */
void conc_windows_hear_interrupts(void) {
  wchar_t name[CONC_INTERRUPT_NAME];
  HANDLE wait;
  conc_windows_interrupt_name(name, GetCurrentProcessId());
  HANDLE event = OpenEventW(SYNCHRONIZE, FALSE, name);
  if (event != NULL && !RegisterWaitForSingleObject(&wait, event, on_interrupt,
                                                    NULL, INFINITE, 0))
    (void)CloseHandle(event);
}
