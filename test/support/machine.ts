/**
 * What this machine can be made to do.
 */
import * as fs from "node:fs"
import * as Path from "node:path"

export const isInstalled = (program: string): boolean =>
  process.env["PATH"]!.split(Path.delimiter).some((directory) => fs.existsSync(Path.join(directory, program)))

/** Programs that are not there, in a sentence's words; undefined where all are. */
export const missing = (...programs: ReadonlyArray<string>): string | undefined => {
  const absent = programs.filter((program) => !isInstalled(program))
  return absent.length === 0 ? undefined : `needs ${absent.map((program) => `${program}(1)`).join(", ")}`
}

export const isRoot = process.getuid?.() === 0

/** strace(1) in front of a program, all its threads included, as a process beside it; what it sees goes to `out`. */
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
