/**
 * The power fails under load (G3): every acknowledged event is there when the disk is mounted again, and so is every
 * acknowledged stream, although half of the streams are created within the last fifth of a second. Some cuts fall into
 * the start after another cut. Before some cuts the server is killed, and the next server finds its unflushed writes.
 * `--target writer` and `--target sqlite` replace our server by a yardstick that must lose nothing.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Random } from "../../support/random.ts"
import { ServerProcess } from "../../support/server-process.ts"
import type { Door } from "../clients/doors.ts"
import { nativeDoor, protocolDoor } from "../clients/doors.ts"
import { Follower } from "../clients/follower.ts"
import type { Surroundings } from "../clients/writers.ts"
import { brief, everyKind, withoutNumbers } from "../clients/writers.ts"
import { readFinals, readOurs } from "../harness/finals.ts"
import { Ledger } from "../harness/ledger.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { Total } from "../harness/total.ts"
import { LoopDisk } from "./loop-disk.ts"

/** Streams that live through all cuts of a disk; as many new ones are created before each cut. */
const streamsAtOnce = 8
const followersAtOnce = 4

/** The logs are checked after this many cuts. */
const cutsTogether = 10

/** Long enough for two thousand appends, so that a cut is worth its cost. */
const loadMillis = [1_900, 2_500] as const

/** How long before the cut the newest streams are created, at most. */
const newMillis = 200

/** The share of cuts before which the server is killed, and the time that the next server has until the cut. */
const killShare = 0.3
const killMillis = [20, 200] as const

/** The share of cuts after which the power fails again while the server starts, and the time until it does. */
const againShare = 0.2
const againMillis = [20, 200] as const

export const powercut: Suite = {
  name: "powercut",
  about: "the power fails under load: no acknowledged event is lost, every start succeeds (--target writer, sqlite)",
  rounds: 100,
  run: async (context) => {
    const { directory, options: { target }, random, rounds, say } = context
    if (target !== undefined && !yardsticks.includes(target)) {
      return { skipped: `knows no target ${target}, only ${yardsticks.join(" and ")}` }
    }
    const server = await ServerProcess.make(directory, target === undefined ? undefined : yardstick(target))
    const disk = await LoopDisk.make(Path.join(directory, "disk.img"), server.directory)
    if (typeof disk === "string") return { skipped: disk }
    const total = new Total()
    const made = { cuts: 0, cutsAtStart: 0, streams: 0, failedStarts: 0 }
    try {
      for (let from = 0; from < rounds && total.violations.length === 0; from += cutsTogether) {
        if (from > 0) {
          disk.unmount()
          disk.format()
        }
        await cutTogether(
          context,
          server,
          disk,
          random.fork(),
          from,
          Math.min(cutsTogether, rounds - from),
          total,
          made
        )
        say(`${made.cuts} cuts, ${total.acked} acknowledged, ${total.violations.length} violations`)
      }
    } finally {
      await server.kill()
      disk.close()
    }
    const { counts, violations } = total.outcome
    return { counts: { ...made, ...counts }, violations }
  }
}

const yardsticks: ReadonlyArray<string> = ["writer", "sqlite"]

const yardstick = (target: string): string =>
  `${process.execPath} ${Path.join(import.meta.dirname, "yardstick.ts")} ${target} {port} {dir}`

/**
 * Runs some cuts in a row, with clients that live through all of them, and then checks all operations against the logs.
 */
const cutTogether = async (
  { directory, options: { target } }: Context,
  server: ServerProcess,
  disk: LoopDisk,
  random: Random,
  from: number,
  cuts: number,
  total: Total,
  made: { cuts: number; cutsAtStart: number; streams: number; failedStarts: number }
): Promise<void> => {
  const isOurs = target === undefined
  const ledger = new Ledger(Path.join(directory, `ledger-${from}.ndjson`))
  const start = { wrapper: disk.space.wrapper }
  // A flush and the cut race in the kernel: an answer from here on does not count as acknowledged.
  let frozen = false
  let over = false
  const doors = (isOurs ? [nativeDoor, protocolDoor] : [nativeDoor]).map((door) => withDoubt(door, () => frozen))
  const at = (i: number): Surroundings => ({
    port: server.port,
    door: doors[i % doors.length]!,
    ledger,
    isOver: () => over,
    padding
  })
  const restart = async () => {
    try {
      total.restarts.push(await server.start(start))
    } catch (error) {
      made.failedStarts++
      total.violations.push(`C13 the server does not start after a cut: ${String(error)}`)
    }
  }
  const cut = async () => {
    made.cuts++
    disk.cut()
    await server.kill()
    disk.unmount()
    disk.mount()
  }

  await restart()
  const streams = Array.from({ length: streamsAtOnce }, (_, i) => `cuts-${from}-${i}`)
  const acknowledged = new Set<string>()
  for (const [i, stream] of streams.entries()) await at(i).door.create(server.port, stream)
  const clients = streams.flatMap((stream, i) => (isOurs ? everyKind : withoutNumbers)(at(i), stream, random))
  const followers = isOurs
    ? streams.slice(0, followersAtOnce).map((stream, i) => new Follower(`f${i}`, server.port, stream))
    : []
  for (let round = from; round < from + cuts && total.violations.length === 0; round++) {
    const load = random.between(...loadMillis)
    const newest = Array.from({ length: streamsAtOnce }, (_, i) => `new-${round}-${i}`)
    streams.push(...newest)
    const makers = newest.map((stream, i) =>
      brief(
        { ...at(i), isOver: () => frozen },
        stream,
        load - random.between(0, newMillis),
        random.fork(),
        isOurs ? random.weighted({ none: 6, close: 1, delete: 1 }) : "none",
        acknowledged
      )
    )
    await sleep(load)
    // The next server finds, shows and builds on the writes that the killed one did not flush.
    if (isOurs && random.chance(killShare)) {
      await server.kill()
      await restart()
      await sleep(random.between(...killMillis))
    }
    frozen = true
    for (const follower of followers) follower.hold()
    await cut()
    await Promise.all(makers)
    if (random.chance(againShare)) {
      server.launch(start)
      await sleep(random.between(...againMillis))
      await cut()
      made.cutsAtStart++
    }
    await restart()
    frozen = false
    for (const follower of followers) follower.release()
  }
  over = true
  await Promise.all(clients)
  const found = isOurs
    ? await readOurs(nativeDoor, server.port, streams, disk.space.outside(server.directory))
    : await readFinals(nativeDoor, server.port, streams)
  for (const { exists, stream } of found.finals) {
    if (!exists && acknowledged.has(stream)) total.violations.push(`C1 ${stream} was made and is not there`)
  }
  made.streams += streams.length
  await total.judge(found, followers, ledger)
  await server.kill()
  if (total.violations.length === 0) fs.rmSync(Path.join(directory, `ledger-${from}.ndjson`))
}

/** Counts every answer after the freeze as unknown. */
const withDoubt = (door: Door, isFrozen: () => boolean): Door => {
  const doubt = <A extends { readonly outcome: string; readonly status: number }>(answer: A): A =>
    isFrozen() ? { ...answer, outcome: "unknown", status: 0 } : answer
  return {
    ...door,
    create: async (...args) => {
      const outcome = await door.create(...args)
      return isFrozen() ? "unknown" : outcome
    },
    append: async (...args) => doubt(await door.append(...args)),
    close: async (...args) => doubt(await door.close(...args)),
    delete: async (...args) => doubt(await door.delete(...args))
  }
}

/** Most events are small, so that there are many. */
const padding = (random: Random): number => random.between(0, random.chance(0.995) ? 300 : 100_000)
