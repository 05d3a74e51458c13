/*
 * Commands that specs use and Windows does not have.  The program does what it
 * is called:
 *
 *   kill -0|-INT|-TERM|-9 PID   as elsewhere; -INT for those who hear it
 *   sleep SECONDS
 *   hear COMMAND                print the command's number, and run it so that
 *                               it hears kill -INT
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

/* The command line without its first word, which has no blanks in it. */
static wchar_t *rest(void) {
  wchar_t *line = GetCommandLineW();
  wchar_t end = *line == L'"' ? L'"' : L' ';
  line = wcschr(line + 1, end);
  while (line != NULL && (*line == L'"' || *line == L' '))
    line++;
  return line;
}

static int hear(void) {
  STARTUPINFOW start = {.cb = sizeof start};
  PROCESS_INFORMATION made;
  DWORD code = 1;
  wchar_t *command = rest();
  if (command == NULL ||
      !CreateProcessW(NULL, command, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL,
                      NULL, &start, &made))
    return 127;
  (void)interrupt_of(made.dwProcessId); /* there until we end */
  (void)printf("%lu\n", made.dwProcessId);
  (void)fflush(stdout);
  (void)ResumeThread(made.hThread);
  (void)WaitForSingleObject(made.hProcess, INFINITE);
  (void)GetExitCodeProcess(made.hProcess, &code);
  return (int)code;
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '\\');
  name = name == NULL ? argv[0] : name + 1;
  if (strncmp(name, "hear", 4) == 0)
    return hear();
  if (strncmp(name, "sleep", 5) == 0 && argc == 2)
    Sleep((DWORD)(1000 * atof(argv[1])));
  else if (strncmp(name, "kill", 4) == 0 && argc == 3)
    return kill_it(argv[1], strtoul(argv[2], NULL, 10));
  else
    return 2;
  return 0;
}
