/**
 * The machine of the measurement: processors, memory, kernel, Node, version and commit, the load before the run, and
 * the time of one flush of the disk.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { root } from "../support/built.ts"
import { type Figure, figure } from "./figures.ts"
import { removeDirectory, temporaryDirectory } from "./servers.ts"

export interface Machine {
  readonly version: string
  readonly commit: string
  readonly node: string
  readonly system: string
  readonly processors: string
  readonly memoryBytes: number
  readonly load: number
  /** The time of 4 KiB and fdatasync, in milliseconds. */
  readonly flush: Figure
}

export const machine = (): Machine => {
  const cpus = Os.cpus()
  const { version } = JSON.parse(fs.readFileSync(Path.join(root, "package.json"), "utf8")) as { version: string }
  return {
    version,
    commit: commit(),
    node: process.versions.node,
    system: `${Os.type()} ${Os.release()} ${Os.arch()}`,
    processors: `${cpus.length} × ${cpus[0]?.model.trim() ?? "unknown processor"}`,
    memoryBytes: Os.totalmem(),
    load: Os.loadavg()[0]!,
    flush: flushMillis()
  }
}

export const describe = (machine: Machine): string => {
  const { max, median, min } = machine.flush
  return [
    `durable-streams ${machine.version} (${machine.commit}), Node ${machine.node}, ${machine.system}`,
    `${machine.processors}, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB of memory, ` +
    `load before the run ${machine.load.toFixed(2)}`,
    `one flush of the disk under ${Os.tmpdir()} (4 KiB and fdatasync): ` +
    `${median.toFixed(2)} ms (${min.toFixed(2)}–${max.toFixed(2)})`
  ].join("\n")
}

const commit = (): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8", stdio: "pipe" })
      .trim()
  } catch {
    return "not in a repository"
  }
}

const flushMillis = (): Figure => {
  const directory = temporaryDirectory()
  const fd = fs.openSync(Path.join(directory, "flushed"), "w")
  const block = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 50 }, () => {
    const from = performance.now()
    fs.writeSync(fd, block)
    fs.fdatasyncSync(fd)
    return performance.now() - from
  })
  fs.closeSync(fd)
  removeDirectory(directory)
  return figure(times)
}
