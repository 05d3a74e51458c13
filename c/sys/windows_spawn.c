/*
 * Starting programs and hearing of their ends.  A child is known by its number,
 * and as long as it is not reaped we have its handle, so the number is its own.
 *
 * All children are in a job that ends with this process, however it ends, and
 * ends them.  What they start themselves is not in it: they have their own.
 */

#include "sys/windows.h"

#include "sys/process.h"
#include "sys/windows_spawn.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>

/* ---- Children ---- */

/* [c] constant once listed   [l] under the lock */
typedef struct child {
  DWORD pid;           /* [c] */
  HANDLE process;      /* [c] */
  HANDLE interrupt;    /* [c] an event that it hears, or NULL */
  HANDLE wait;         /* [l] of the thread pool, or NULL */
  conc_sys_child *who; /* [l] wants to hear */
  struct child *next;  /* [l] */
} child;

static struct {
  SRWLOCK lock;
  child *first; /* [l] */
  HANDLE job;   /* [l] */
} family = {.lock = SRWLOCK_INIT};

static child *find_locked(uint64_t pid) {
  child *c = family.first;
  while (c != NULL && c->pid != pid)
    c = c->next;
  return c;
}

/* Take it out of the list; NULL: no child of ours, or reaped. */
static child *take_out(uint64_t pid) {
  AcquireSRWLockExclusive(&family.lock);
  child **link = &family.first;
  while (*link != NULL && (*link)->pid != pid)
    link = &(*link)->next;
  child *c = *link;
  if (c != NULL)
    *link = c->next;
  ReleaseSRWLockExclusive(&family.lock);
  return c;
}

static HANDLE job_locked(void) {
  JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
  if (family.job != NULL)
    return family.job;
  family.job = CreateJobObjectW(NULL, NULL);
  limits.BasicLimitInformation.LimitFlags =
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
  if (family.job != NULL)
    (void)SetInformationJobObject(family.job, JobObjectExtendedLimitInformation,
                                  &limits, sizeof limits);
  return family.job;
}

/* It does not run yet.  Without a job it lives on without us: no failure. */
static void adopt(child *c) {
  wchar_t name[CONC_INTERRUPT_NAME];
  conc_windows_interrupt_name(name, c->pid);
  c->interrupt = CreateEventW(NULL, FALSE, FALSE, name);
  AcquireSRWLockExclusive(&family.lock);
  HANDLE job = job_locked();
  if (job != NULL)
    (void)AssignProcessToJobObject(job, c->process);
  c->next = family.first;
  family.first = c;
  ReleaseSRWLockExclusive(&family.lock);
}

/* ---- Handles ---- */

enum { STANDARD = 3, MOST_INHERITED = 16 };

/* What a child gets: copies of the standard ones, and others as they are. */
struct gifts {
  HANDLE list[STANDARD + MOST_INHERITED];
  size_t n;
};

/* A copy that can be inherited; of nothing, an empty file. */
static bool add_standard(struct gifts *g, HANDLE from) {
  HANDLE self = GetCurrentProcess(), copy = NULL;
  SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
  if (from == NULL || from == INVALID_HANDLE_VALUE ||
      !DuplicateHandle(self, from, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))
    copy = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE,
                       FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                       OPEN_EXISTING, 0, NULL);
  if (copy == INVALID_HANDLE_VALUE)
    return false;
  g->list[g->n++] = copy;
  return true;
}

static HANDLE standard(const conc_sys_spawn_conf *c, DWORD ours) {
  return c->quiet ? NULL : GetStdHandle(ours);
}

static bool add_standards(struct gifts *g, const conc_sys_spawn_conf *c) {
  return add_standard(g, NULL) &&
         add_standard(g, standard(c, STD_OUTPUT_HANDLE)) &&
         add_standard(g, c->err != CONC_NO_HANDLE
                           ? (HANDLE)c->err
                           : standard(c, STD_ERROR_HANDLE));
}

static void close_standards(struct gifts *g) {
  for (size_t i = 0; i < g->n && i < STANDARD; i++)
    (void)CloseHandle(g->list[i]);
}

/* Only while the program starts, and one at a time. */
static void set_inherited(const conc_sys_spawn_conf *c, bool on) {
  for (size_t i = 0; i < c->ninherit; i++)
    (void)SetHandleInformation((HANDLE)c->inherit[i], HANDLE_FLAG_INHERIT,
                               on ? HANDLE_FLAG_INHERIT : 0);
}

/* ---- Starting ---- */

/* A program with windows has no console, and its children are to open none.  Not
   CREATE_NO_WINDOW: Wine starts a host for the console that nobody sees, which
   has the child's standard error open for as long as it pleases. */
static DWORD console(void) {
  return GetConsoleCP() == 0 ? DETACHED_PROCESS : 0;
}

static apr_status_t create(PROCESS_INFORMATION *made,
                           const conc_windows_command *command,
                           const conc_sys_spawn_conf *conf, struct gifts *g) {
  static SRWLOCK one = SRWLOCK_INIT;
  _Alignas(16) unsigned char room[256];
  SIZE_T size = sizeof room;
  STARTUPINFOEXW start = {.StartupInfo = {.cb = sizeof start}};
  start.lpAttributeList = (LPPROC_THREAD_ATTRIBUTE_LIST)(void *)room;
  start.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
  start.StartupInfo.hStdInput = g->list[0];
  start.StartupInfo.hStdOutput = g->list[1];
  start.StartupInfo.hStdError = g->list[2];
  if (!InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &size))
    return conc_windows_error();
  apr_status_t st = APR_SUCCESS;
  AcquireSRWLockExclusive(&one);
  set_inherited(conf, true);
  if (!UpdateProcThreadAttribute(start.lpAttributeList, 0,
                                 PROC_THREAD_ATTRIBUTE_HANDLE_LIST, g->list,
                                 g->n * sizeof *g->list, NULL, NULL) ||
      !CreateProcessW(command->path, command->line, NULL, NULL, TRUE,
                      CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP | console() |
                        EXTENDED_STARTUPINFO_PRESENT,
                      NULL, NULL, &start.StartupInfo, made))
    st = conc_windows_error();
  set_inherited(conf, false);
  ReleaseSRWLockExclusive(&one);
  DeleteProcThreadAttributeList(start.lpAttributeList);
  return st;
}

static apr_status_t start(uint64_t *pid, const conc_windows_command *command,
                          const conc_sys_spawn_conf *conf) {
  struct gifts g = {.n = 0};
  PROCESS_INFORMATION made;
  apr_status_t st;
  child *c = calloc(1, sizeof *c);
  if (c == NULL)
    return APR_ENOMEM;
  if (add_standards(&g, conf)) {
    for (size_t i = 0; i < conf->ninherit; i++)
      g.list[g.n++] = (HANDLE)conf->inherit[i];
    st = create(&made, command, conf, &g);
  } else {
    st = conc_windows_error();
  }
  close_standards(&g);
  if (st != APR_SUCCESS) {
    free(c);
    return st;
  }
  c->pid = made.dwProcessId;
  c->process = made.hProcess;
  adopt(c);
  *pid = c->pid;
  (void)ResumeThread(made.hThread);
  (void)CloseHandle(made.hThread);
  return APR_SUCCESS;
}

apr_status_t conc_sys_spawn(uint64_t *pid, const conc_sys_spawn_conf *conf) {
  conc_windows_command command;
  if (conf->ninherit > MOST_INHERITED)
    return APR_EINVAL;
  apr_status_t st = conc_windows_command_make(&command, conf);
  if (st == APR_SUCCESS)
    st = start(pid, &command, conf);
  conc_windows_command_free(&command);
  return st;
}

/* ---- Ends ---- */

/* Its job may be another one's. */
bool conc_sys_dies_with(uint64_t parent) {
  (void)parent;
  return false;
}

/* Nothing there depends on it. */
void conc_sys_outlive(uint64_t parent) { (void)parent; }

/* One that does not listen is ended by an interrupt, as by its default. */
apr_status_t conc_sys_kill(uint64_t pid, conc_sys_signal s) {
  static const UINT numbers[] = {SIGINT, SIGTERM, 9};
  apr_status_t st = APR_SUCCESS;
  AcquireSRWLockShared(&family.lock);
  const child *c = find_locked(pid);
  if (c == NULL)
    st = APR_ENOPROC;
  else if (s == CONC_INTERRUPT && c->interrupt != NULL)
    (void)SetEvent(c->interrupt);
  else if (!TerminateProcess(c->process, CONC_KILLED + numbers[s]))
    st = WaitForSingleObject(c->process, 0) == WAIT_OBJECT_0
           ? APR_SUCCESS
           : conc_windows_error();
  ReleaseSRWLockShared(&family.lock);
  return st;
}

/* What a crash is called elsewhere. */
static int signal_of(DWORD code) {
  switch (code) {
  case EXCEPTION_ACCESS_VIOLATION:
  case EXCEPTION_STACK_OVERFLOW: return SIGSEGV;
  case EXCEPTION_ILLEGAL_INSTRUCTION:
  case EXCEPTION_PRIV_INSTRUCTION: return SIGILL;
  case EXCEPTION_INT_DIVIDE_BY_ZERO:
  case EXCEPTION_FLT_DIVIDE_BY_ZERO: return SIGFPE;
  case CONTROL_C_EXIT: return SIGINT;
  default: return 6; /* SIGABRT by its number elsewhere */
  }
}

/* Errors and exceptions of the system have their first two bits set and the
   fourth not; -1 and the like, which programs give to exit, are of 8 bits
   elsewhere. */
static conc_sys_end end_of(DWORD code) {
  if (code >> 30 == 3 && (code >> 28 & 1) == 0)
    return (conc_sys_end){.signal = signal_of(code)};
  if (code > CONC_KILLED && code < CONC_KILLED + 64)
    return (conc_sys_end){.signal = (int)(code - CONC_KILLED)};
  return (conc_sys_end){.code = (int)(code > INT_MAX ? code & 0xff : code)};
}

conc_sys_end conc_sys_reap(uint64_t pid) {
  DWORD code = 255;
  child *c = take_out(pid);
  if (c == NULL)
    return (conc_sys_end){.code = 255};
  (void)WaitForSingleObject(c->process, INFINITE);
  (void)GetExitCodeProcess(c->process, &code);
  if (c->wait != NULL)
    (void)UnregisterWait(c->wait); /* this may be it, so do not wait for it */
  if (c->interrupt != NULL)
    (void)CloseHandle(c->interrupt);
  (void)CloseHandle(c->process);
  free(c);
  return end_of(code);
}

/* In a thread of the system's pool; once. */
static VOID CALLBACK on_ended(PVOID arg, BOOLEAN timed_out) {
  child *c = arg;
  (void)timed_out;
  /* Not before 'wait' is written. */
  AcquireSRWLockExclusive(&family.lock);
  conc_sys_child *who = c->who;
  ReleaseSRWLockExclusive(&family.lock);
  who->ended(who);
}

apr_status_t conc_sys_child_watch(conc_sys_child *who) {
  apr_status_t st = APR_SUCCESS;
  AcquireSRWLockExclusive(&family.lock);
  child *c = find_locked(who->pid);
  if (c == NULL) {
    st = APR_ENOPROC;
  } else {
    c->who = who;
    if (!RegisterWaitForSingleObject(
          &c->wait, c->process, on_ended, c, INFINITE,
          WT_EXECUTEONLYONCE | WT_EXECUTELONGFUNCTION)) {
      c->wait = NULL;
      st = conc_windows_error();
    }
  }
  ReleaseSRWLockExclusive(&family.lock);
  return st;
}

const char *conc_sys_signal_name(int number) {
  switch (number) {
  case SIGINT: return "SIGINT";
  case SIGILL: return "SIGILL";
  case 6: return "SIGABRT";
  case SIGFPE: return "SIGFPE";
  case 9: return "SIGKILL";
  case SIGSEGV: return "SIGSEGV";
  case SIGTERM: return "SIGTERM";
  default: return NULL;
  }
}

/* Nothing of the C library's or of DLLs', which may want what we hold. */
_Noreturn void conc_sys_end_now(int code) {
  (void)TerminateProcess(GetCurrentProcess(), (UINT)code);
  for (;;)
    Sleep(INFINITE);
}
