/**
 * The exit codes of the command line, which scripts branch on (docs/cli.md). The class of an error says which one ends a
 * command that fails with it, by Effect's `Runtime.errorExitCode`; without that it is 1. Browser-safe: imports nothing.
 */

export const exitCodes = {
  error: 1,
  usage: 2,
  notFound: 3,
  notAllowed: 4,
  conflict: 5,
  unreachable: 6,
  interrupted: 130
} as const

/** The exit code for a status of HTTP, if the refusal does not name one of its own. */
export const exitCodeOfStatus = (status: number): number => codes[status] ?? exitCodes.error

const codes: Readonly<Record<number, number>> = {
  400: exitCodes.usage,
  401: exitCodes.notAllowed,
  403: exitCodes.notAllowed,
  404: exitCodes.notFound,
  409: exitCodes.conflict,
  410: exitCodes.notFound,
  412: exitCodes.conflict
}
