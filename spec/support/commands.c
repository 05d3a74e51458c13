/*
 * Commands that specs use and Windows does not have.  The program does what it
 * is called:
 *
 *   kill -0|-INT|-TERM|-9 PID   as elsewhere; -INT for those who hear it
 *   sleep SECONDS
 *   hear COMMAND                print the command's number, and run it so that
 *                               it hears kill -INT
 *   without DIGITS COMMAND      run it without its standard input (0), output (1)
 *                               or error (2)
 *   times PID                   print the seconds of processor time it has used
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

/* As in c/sys: how an exit code says which signal it was, and the name of the
   event that interrupts a process. */
enum { KILLED = 0x10000, NAME = 48 };

static HANDLE interrupt_of(DWORD pid) {
  wchar_t name[NAME];
  (void)swprintf(name, NAME, L"Local\\conc.interrupt.%lu", pid);
  return CreateEventW(NULL, FALSE, FALSE, name);
}

static int kill_it(const char *how, DWORD pid) {
  HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, pid);
  if (process == NULL || WaitForSingleObject(process, 0) == WAIT_OBJECT_0)
    return 1;
  if (strcmp(how, "-0") == 0)
    return 0;
  if (strcmp(how, "-INT") == 0)
    return !SetEvent(interrupt_of(pid));
  return !TerminateProcess(process, strcmp(how, "-9") == 0 ? KILLED + 9
                                                           : KILLED + SIGTERM);
}

/* The line without its first word, which has no blanks in it. */
static wchar_t *rest(wchar_t *line) {
  wchar_t end = *line == L'"' ? L'"' : L' ';
  line = wcschr(line + 1, end);
  while (line != NULL && (*line == L'"' || *line == L' '))
    line++;
  return line;
}

/* Its exit code; 'hears': it gets kill -INT, and its number is printed. */
static int run(wchar_t *command, STARTUPINFOW *start, int hears) {
  PROCESS_INFORMATION made;
  DWORD code = 1;
  start->cb = sizeof *start;
  if (command == NULL ||
      !CreateProcessW(NULL, command, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL,
                      NULL, start, &made))
    return 127;
  if (hears) {
    (void)interrupt_of(made.dwProcessId); /* there until we end */
    (void)printf("%lu\n", made.dwProcessId);
    (void)fflush(stdout);
  }
  (void)ResumeThread(made.hThread);
  (void)WaitForSingleObject(made.hProcess, INFINITE);
  (void)GetExitCodeProcess(made.hProcess, &code);
  return (int)code;
}

static int without(const char *digits, wchar_t *command) {
  STARTUPINFOW start = {.dwFlags = STARTF_USESTDHANDLES};
  start.hStdInput =
    strchr(digits, '0') == NULL ? GetStdHandle(STD_INPUT_HANDLE) : NULL;
  start.hStdOutput =
    strchr(digits, '1') == NULL ? GetStdHandle(STD_OUTPUT_HANDLE) : NULL;
  start.hStdError =
    strchr(digits, '2') == NULL ? GetStdHandle(STD_ERROR_HANDLE) : NULL;
  return run(command, &start, 0);
}

static double seconds(FILETIME t) {
  return ((double)t.dwHighDateTime * 4294967296.0 + t.dwLowDateTime) / 1e7;
}

static int times_of(DWORD pid) {
  FILETIME created, ended, kernel, user;
  HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
  if (process == NULL ||
      !GetProcessTimes(process, &created, &ended, &kernel, &user))
    return 1;
  (void)printf("%f\n", seconds(kernel) + seconds(user));
  return 0;
}

int main(int argc, char **argv) {
  STARTUPINFOW start = {0};
  const char *name = strrchr(argv[0], '\\');
  name = name == NULL ? argv[0] : name + 1;
  if (strncmp(name, "hear", 4) == 0)
    return run(rest(GetCommandLineW()), &start, 1);
  if (strncmp(name, "without", 7) == 0 && argc > 2)
    return without(argv[1], rest(rest(GetCommandLineW())));
  if (strncmp(name, "times", 5) == 0 && argc == 2)
    return times_of(strtoul(argv[1], NULL, 10));
  if (strncmp(name, "sleep", 5) == 0 && argc == 2)
    Sleep((DWORD)(1000 * atof(argv[1])));
  else if (strncmp(name, "kill", 4) == 0 && argc == 3)
    return kill_it(argv[1], strtoul(argv[2], NULL, 10));
  else
    return 2;
  return 0;
}
