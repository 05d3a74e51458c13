/*
 * Windows 8, Server 2012 and later: before them there was no waiting on an
 * address, and Microsoft supports none of those any more.
 */

#include "sys/windows.h"

#include "sys/sys.h"

#include <limits.h>
#include <stdlib.h>

/* The counter's frequency never changes while the system runs. */
static int64_t frequency(void) {
  static _Atomic int64_t known;
  /* Relaxed: the number guards nothing, and whoever stores it stores it. */
  int64_t f = atomic_load_explicit(&known, memory_order_relaxed);
  if (f == 0) {
    LARGE_INTEGER asked;
    QueryPerformanceFrequency(&asked);
    f = asked.QuadPart;
    atomic_store_explicit(&known, f, memory_order_relaxed);
  }
  return f;
}

int64_t conc_sys_now(void) {
  const int64_t second = 1000000000;
  int64_t f = frequency();
  LARGE_INTEGER ticks;
  QueryPerformanceCounter(&ticks);
  /* In two parts: the product would overflow within a day. */
  return ticks.QuadPart / f * second + ticks.QuadPart % f * second / f;
}

/* The system compares and queues in one step with respect to its wakes. */
void conc_sys_wait(conc_word *w, uint32_t expected, int64_t timeout) {
  (void)WaitOnAddress((volatile void *)w, &expected, sizeof expected,
                      conc_windows_milliseconds(timeout));
}

void conc_sys_wake(conc_word *w, bool all) {
  if (all)
    WakeByAddressAll((void *)w);
  else
    WakeByAddressSingle((void *)w);
}

void conc_sys_yield(void) { (void)SwitchToThread(); }

uint64_t conc_sys_tid(void) { return GetCurrentThreadId(); }

uint64_t conc_sys_pid(void) { return GetCurrentProcessId(); }

uint32_t conc_sys_forks(void) { return 0; }

void conc_sys_at_fork(void (*child)(void)) { (void)child; }

static unsigned bits(DWORD_PTR mask) {
  unsigned n = 0;
  for (; mask != 0; mask &= mask - 1)
    n++;
  return n;
}

/*
 * Processors in the affinity mask.  A process that spans processor groups
 * (more than 64 processors) has no mask, and may use them all.
 */
static unsigned affine(unsigned online) {
  DWORD_PTR ours = 0, all = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) || ours == 0)
    return online;
  return bits(ours);
}

/* Processors that the job's hard cap leaves, rounded up; 0: no cap. */
static unsigned quota(unsigned online) {
  const DWORD hard =
    JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate = {0};
  if (!QueryInformationJobObject(NULL, JobObjectCpuRateControlInformation,
                                 &rate, sizeof rate, NULL) ||
      (rate.ControlFlags & hard) != hard)
    return 0;
  /* The rate is in hundredths of a percent of all processors. */
  return (unsigned)(((uint64_t)rate.CpuRate * online + 9999) / 10000);
}

unsigned conc_sys_cpus(void) {
  unsigned online = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
  unsigned n = affine(online), granted = quota(online);
  if (granted != 0 && granted < n)
    n = granted;
  return n < 1 ? 1 : n;
}

/* ---- Errors and text ---- */

apr_status_t conc_windows_error(void) {
  int error = (int)GetLastError();
  switch (error) {
  case ERROR_FILE_NOT_FOUND:
  case ERROR_PATH_NOT_FOUND:
  case ERROR_INVALID_NAME: return APR_ENOENT;
  case ERROR_ACCESS_DENIED: return APR_EACCES;
  case ERROR_NOT_ENOUGH_MEMORY:
  case ERROR_OUTOFMEMORY:
  case ERROR_COMMITMENT_LIMIT: return APR_ENOMEM;
  case ERROR_SUCCESS: return APR_EGENERAL; /* it failed, and does not say why */
  default: return APR_FROM_OS_ERROR(error);
  }
}

apr_status_t conc_windows_socket_error(void) {
  int error = WSAGetLastError();
  switch (error) {
  case WSAEWOULDBLOCK: return APR_EAGAIN;
  case WSAECONNRESET:
  case WSAECONNABORTED:
  case WSAESHUTDOWN:
  case WSAEDISCON: return APR_EOF;
  case 0: return APR_EGENERAL;
  default: return APR_FROM_OS_ERROR(error);
  }
}

wchar_t *conc_windows_wide(const char *text) {
  UINT page = CP_UTF8;
  int n = MultiByteToWideChar(page, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
  if (n == 0) {
    page = CP_ACP;
    n = MultiByteToWideChar(page, 0, text, -1, NULL, 0);
  }
  wchar_t *wide = n == 0 ? NULL : malloc((size_t)n * sizeof *wide);
  if (wide != NULL)
    (void)MultiByteToWideChar(page, 0, text, -1, wide, n);
  return wide;
}

apr_status_t conc_windows_narrow(char *text, size_t size, const wchar_t *wide) {
  int room = size > INT_MAX ? INT_MAX : (int)size;
  return WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, room, NULL, NULL) > 0
           ? APR_SUCCESS
           : APR_ENOSPC;
}

/* ---- Threads ---- */

/* Names came with Windows 10, so the function is looked up. */
void conc_sys_name_thread(const char *name) {
  typedef HRESULT(WINAPI * describe_fn)(HANDLE, PCWSTR);
  HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
  FARPROC found =
    kernel == NULL ? NULL : GetProcAddress(kernel, "SetThreadDescription");
  wchar_t *wide = found == NULL ? NULL : conc_windows_wide(name);
  if (wide != NULL)
    (void)((describe_fn)(void (*)(void))found)(GetCurrentThread(), wide);
  free(wide);
}

/*
 * No signal is delivered to a thread here: the C library's few handlers run in
 * the thread that raises, and Ctrl-C's in one that the system makes for it.
 */
void conc_sys_mask_signals(struct conc_sys_mask *old) { (void)old; }

void conc_sys_unmask_signals(const struct conc_sys_mask *old) { (void)old; }

/*
 * What a console's handler does, it does in a thread that the system makes, as
 * any thread of a host that conc does not know.
 */
bool conc_sys_handles_signals(void) { return false; }

bool conc_sys_stderr_is_terminal(void) {
  DWORD mode;
  return GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode);
}

/*
 * lua_close unloads every C library that its state loaded.  A thread that
 * outlives the state would then run unmapped code.
 */
void conc_sys_pin(void) {
  HMODULE self;
  (void)GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN |
                             GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                           (LPCWSTR)(uintptr_t)conc_sys_pin, &self);
  conc_windows_hear_interrupts();
}

/* Large pages need a privilege that programs do not have. */
void conc_sys_large(void *p, size_t size) {
  (void)p;
  (void)size;
}

void conc_sys_fence_all(void) { FlushProcessWriteBuffers(); }
