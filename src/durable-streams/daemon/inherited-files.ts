/**
 * The files that a background server must not hold: those that the command which started it had inherited, such as a lock
 * of a job or the pipe that collects its output. While the server ran, the lock would be taken and the pipe would not end.
 */
import * as fs from "node:fs"

/**
 * Closes the files that this process has inherited, besides its standard streams and the channel to its parent. Node has
 * opened some files of its own by now and marks them as closed on exec, and the channel, too: a file without the mark came
 * from outside. Only Linux shows the mark; on macOS nothing is inherited in the first place.
 */
export const closeInherited = (): void => {
  if (process.platform !== "linux") return
  for (const name of namesIn("/proc/self/fd")) {
    const descriptor = Number(name)
    if (descriptor <= 3 || closesOnExec(descriptor)) continue
    try {
      fs.closeSync(descriptor)
    } catch {
      // It was the descriptor by which the names were read.
    }
  }
}

const namesIn = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}

/** Also true when the system does not say: no file is closed by guess. */
const closesOnExec = (descriptor: number): boolean => {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1]
    return flags === undefined || (Number.parseInt(flags, 8) & closeOnExec) !== 0
  } catch {
    return true
  }
}

/** `O_CLOEXEC`, which Node does not name; alike on all processors for which there is a Node. */
const closeOnExec = 0o2000000
