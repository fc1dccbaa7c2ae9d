/**
 * The checks of the machine: the data directory, its file system, and the limits of the system.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as Path from "node:path"
import { deniedBy, nearest } from "../../data-directory/data-directory.ts"
import { filesOf, quoted } from "../../data-directory/paths.ts"
import { fileLimit } from "../../http-node/file-limit.ts"
import type { Found } from "../daemon.ts"
import type { Finding } from "./finding.ts"

export const checkDirectory = (directory: string): Effect.Effect<Finding> =>
  Effect.sync(() => {
    const elsewhere = "Choose another with --data-dir or DURABLE_STREAMS_DATA_DIR."
    const stats = statOf(directory)
    if (stats === undefined) {
      const says = brokenLink(directory)
      if (says !== undefined) {
        return {
          status: "fail",
          says,
          advice: "Make what it leads to, take it away, or choose another directory with --data-dir."
        }
      }
      const parent = nearest(directory)
      const denied = deniedBy(parent)
      return denied === undefined
        ? { status: "ok", says: `${directory} is not there yet; the first append makes it.` }
        : { status: "fail", says: `${directory} cannot be made in ${parent} (${denied}).`, advice: elsewhere }
    }
    if (!stats.isDirectory()) return { status: "fail", says: `${directory} is no directory.`, advice: elsewhere }
    const denied = deniedBy(directory)
    if (denied !== undefined) {
      return {
        status: "fail",
        says: `${directory} cannot be written to (${denied}).`,
        advice: denied === "EROFS" ? "Mount it for writing, or choose another with --data-dir." : ownIt(directory)
      }
    }
    const us = process.geteuid?.()
    if (us !== undefined && stats.uid !== us) {
      const says = `${directory} belongs to user ${stats.uid}, and this is user ${us}.`
      return { status: us === 0 ? "warn" : "fail", says, advice: `Run as that user, or: ${ownIt(directory)}` }
    }
    const open = openToOthers(directory)
    if (open.length > 0) {
      const others = open.length === 1 ? "" : ` and ${open.length - 1} more`
      const says = `Other users of this machine can use ${open[0]}${others}.`
      return { status: "warn", says, advice: `Close them: chmod -R go-rwx ${quoted(directory)}` }
    }
    return { status: "ok", says: `${directory} is yours alone.` }
  })

/** Below this a log can still be closed in order, and not much more. */
const freeBytesMin = 64 * 1024 * 1024
const freeBytesLow = 1024 * 1024 * 1024

export const checkFileSystem = (directory: string): Effect.Effect<Finding> =>
  Effect.sync(() => {
    let stats: fs.StatsFs
    try {
      stats = fs.statfsSync(nearest(directory))
    } catch (error) {
      return { status: "warn", says: `It does not say what it is (${codeOf(error)}).`, advice: "See: df -T" }
    }
    const free = stats.bavail * stats.bsize
    const { name, trouble } = kinds[stats.type] ?? { name: `type 0x${stats.type.toString(16)}` }
    const says = `${name}, ${amount(free)} free.`
    const advice = "Free some space: appends fail when there is none."
    if (free < freeBytesMin) return { status: "fail", says, advice }
    if (trouble !== undefined) return { status: "warn", says, advice: trouble }
    return free < freeBytesLow ? { status: "warn", says, advice } : { status: "ok", says }
  })

/** A server keeps up to 512 logs open, and each follower is one more. */
const filesEnough = 4096
const filesMin = 1024

/** Of the server, if one runs: the command that started it may have had another limit. */
export const checkFileLimit = (found: Found | undefined): Effect.Effect<Finding> =>
  Effect.sync(() => {
    const pid = found?.health.pid
    const limit = fileLimit(pid)
    if (limit === undefined) return { status: "ok", says: "Not checked: this system does not say how many." }
    const says = `${pid === undefined ? "A process" : `The server (pid ${pid})`} may have ${limit} open.`
    if (limit >= filesEnough) return { status: "ok", says }
    const advice = "Each follower takes one, and so does each busy stream: raise it with ulimit -n 65536" +
      (pid === undefined ? "." : ", then: durable-streams server restart")
    return { status: limit < filesMin ? "fail" : "warn", says, advice }
  })

const statOf = (path: string): fs.Stats | undefined => {
  try {
    return fs.statSync(path)
  } catch {
    return undefined
  }
}

/** Says so if the path, or the nearest one above it that exists, is a link that leads to nothing. */
const brokenLink = (path: string): string | undefined => {
  try {
    fs.statSync(path)
    return undefined
  } catch (error) {
    const target = targetOf(path)
    if (target !== undefined) return `${path} is a link to ${target}, which cannot be reached (${codeOf(error)}).`
    return Path.dirname(path) === path ? undefined : brokenLink(Path.dirname(path))
  }
}

const targetOf = (link: string): string | undefined => {
  try {
    return fs.readlinkSync(link)
  } catch {
    return undefined
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)

/** No more files than this are checked: one of many shows the problem. */
const looksMax = 10_000

/** The paths in the data directory that other users can read, write or enter, the shortest first. */
const openToOthers = (directory: string): ReadonlyArray<string> => {
  if (process.platform === "win32") return []
  const { keys, streams } = filesOf(directory)
  const all = [directory, ...entriesOf(directory), ...entriesOf(keys), ...entriesOf(streams)]
  return all.slice(0, looksMax).filter((path) => ((statOf(path)?.mode ?? 0) & 0o077) !== 0)
}

const entriesOf = (directory: string): ReadonlyArray<string> => {
  try {
    return fs.readdirSync(directory).map((name) => Path.join(directory, name))
  } catch {
    return []
  }
}

const ownIt = (directory: string): string => `Make it yours: sudo chown -R "$(id -u)" ${quoted(directory)}`

const amount = (bytes: number): string => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let unit = 0
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024
    unit++
  }
  return `${bytes < 10 && unit > 0 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`
}

interface Kind {
  readonly name: string
  /** How it may surprise a person, and how to avoid that. */
  readonly trouble?: string
}

const remoteTrouble = "Locks and flushes are not to be trusted over a network: keep logs on a disk of this machine."
const memoryTrouble = "It is gone when the machine restarts: keep what matters on a disk."

/** File systems by the number that statfs(2) has for them. */
const kinds: Readonly<Record<number, Kind>> = {
  0xef53: { name: "ext4" },
  0x58465342: { name: "xfs" },
  0x9123683e: { name: "btrfs" },
  0x2fc12fc1: { name: "zfs" },
  0xf2f52010: { name: "f2fs" },
  0x1a: { name: "apfs" },
  0x794c7630: {
    name: "overlayfs",
    trouble: "In a container it is gone with it: mount a volume for the data directory."
  },
  0x01021994: { name: "tmpfs", trouble: memoryTrouble },
  0x858458f6: { name: "ramfs", trouble: memoryTrouble },
  0x6969: { name: "nfs", trouble: remoteTrouble },
  0xff534d42: { name: "cifs", trouble: remoteTrouble },
  0xfe534d42: { name: "smb", trouble: remoteTrouble },
  0x01021997: { name: "9p", trouble: remoteTrouble },
  0x65735546: { name: "fuse", trouble: "It keeps flushed bytes only if the storage behind it does." }
}
