/**
 * What the machine lets a process have.
 */
import * as fs from "node:fs"

export const openFilesMax = (): number =>
  Number(/^Max open files\s+(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "latin1"))?.[1] ?? 1024)
