/**
 * Abilities of this machine.
 */
import * as fs from "node:fs"
import * as Path from "node:path"

export const isInstalled = (program: string): boolean =>
  process.env["PATH"]!.split(Path.delimiter).some((directory) => fs.existsSync(Path.join(directory, program)))

/** The programs that are missing here, as part of a sentence; undefined if none is. */
export const missing = (...programs: ReadonlyArray<string>): string | undefined => {
  const absent = programs.filter((program) => !isInstalled(program))
  return absent.length === 0 ? undefined : `needs ${absent.map((program) => `${program}(1)`).join(", ")}`
}

export const isRoot = process.getuid?.() === 0

/**
 * The words that run a program under strace(1), with all its threads; strace runs as a process beside it and writes to
 * `out`.
 */
export const strace = (out: string, ...options: ReadonlyArray<string>): ReadonlyArray<string> => [
  "strace",
  "-D",
  "-f",
  "--seccomp-bpf",
  "-qq",
  "-o",
  out,
  ...options
]
