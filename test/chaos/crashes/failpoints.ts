/**
 * The server kills itself at each place where a crash could leave half-finished work (failing-storage.ts), again and
 * again in the life of one data directory, under load. Every window is hit on purpose instead of by luck. The places of
 * a recovery are hit twice in a row.
 */
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { build } from "rolldown"
import type { Random } from "../../support/random.ts"
import { ServerProcess, type StartOptions } from "../../support/server-process.ts"
import { nativeDoor, protocolDoor } from "../clients/doors.ts"
import { Follower } from "../clients/follower.ts"
import type { Surroundings } from "../clients/writers.ts"
import { appender, everyKind } from "../clients/writers.ts"
import { readOurs } from "../harness/finals.ts"
import { Ledger, now } from "../harness/ledger.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { Total } from "../harness/total.ts"

interface Plan {
  readonly point: string
  /** The server dies at a random one of its first `most` visits to the place. */
  readonly most: number
  /** The place where it dies first, so that there is something to recover. */
  readonly before?: string
  /** The next start reaches the place again. */
  readonly twice?: boolean
  /** The server reaches the place only when it is asked to stop. */
  readonly stops?: boolean
}

const plans: ReadonlyArray<Plan> = [
  { point: "after-lock", most: 1 },
  { point: "mid-create", most: 6 },
  { point: "before-write", most: 60 },
  { point: "mid-write", most: 60 },
  { point: "mid-batch", most: 30 },
  { point: "after-write", most: 60 },
  { point: "after-flush", most: 30 },
  { point: "before-ack", most: 60 },
  { point: "after-create-before-dirsync", most: 6 },
  { point: "before-cut", most: 1, before: "mid-write", twice: true },
  { point: "after-cut", most: 1, before: "mid-write" },
  { point: "mid-replay", most: 1, before: "journal-after-flush", twice: true },
  { point: "journal-before-write", most: 20 },
  { point: "journal-mid-write", most: 20 },
  { point: "journal-after-write", most: 20 },
  { point: "journal-after-flush", most: 20 },
  { point: "journal-mid-remove", most: 1, stops: true },
  { point: "mid-settle", most: 2, stops: true },
  { point: "mid-delete", most: 6 },
  { point: "during-shutdown", most: 8, stops: true }
]

const streamsAtOnce = 6

/** The time under load before a server is asked to stop, and between two crashes. */
const loadMillis = [100, 300] as const

/** Further tries if an earlier kill happens to leave nothing to recover, once or even twice. */
const furtherTries = 4

/** A server that has not reached its failpoint by then will not reach it. */
const hitMillis = 4_000

/**
 * Builds the server that dies: to start it from its sources would take ten times as long. Returns a function that makes
 * the start options of a failpoint: `mid-write`, or `mid-write:7` for the seventh time.
 */
export const buildFailing = async (directory: string): Promise<(failpoint: string) => StartOptions> => {
  const built = Path.join(directory, "failing")
  await build({
    input: Path.join(import.meta.dirname, "failing-server.ts"),
    platform: "node",
    logLevel: "silent",
    output: { dir: built, format: "esm", minify: true }
  })
  // As many threads as the program gives itself.
  const main = Path.join(built, "failing-server.js")
  return (failpoint) => ({ main, env: { FAILPOINT: failpoint, UV_THREADPOOL_SIZE: "16" } })
}

export const failpoints: Suite = {
  name: "failpoints",
  about: "the server dies at each place on purpose, and twice in a row at the places of a recovery",
  rounds: 20,
  run: async (context) => {
    const total = new Total()
    const made = { points: 0, deaths: 0, missed: 0 }
    const failingAt = await buildFailing(context.directory)
    // Each plan has a directory of its own; the short form runs all plans one after the other in the same directory.
    for (const group of context.options.brief ? [plans] : plans.map((plan) => [plan])) {
      await runInTurn(context, group, context.random.fork(), failingAt, total, made)
      made.points += group.length
      const { point } = group[0]!
      context.say(`${point}: ${made.deaths} deaths, ${total.acked} acknowledged, ${total.violations.length} violations`)
    }
    const { counts, violations } = total.outcome
    return { counts: { ...made, ...counts }, violations }
  }
}

const runInTurn = async (
  { directory, rounds }: Context,
  group: ReadonlyArray<Plan>,
  random: Random,
  failingAt: (failpoint: string) => StartOptions,
  total: Total,
  made: { deaths: number; missed: number }
): Promise<void> => {
  const name = group[0]!.point
  const server = await ServerProcess.make(Path.join(directory, name))
  const ledger = new Ledger(Path.join(directory, `ledger-${name}.ndjson`))
  const streams = Array.from({ length: streamsAtOnce }, (_, i) => `${name}-${i}`)
  let over = false
  const at = (i: number): Surroundings => ({
    port: server.port,
    door: i % 2 === 0 ? nativeDoor : protocolDoor,
    ledger,
    isOver: () => over,
    padding
  })

  /** Starts the server with the failpoint, and returns whether the failpoint killed it. */
  const dies = async (point: string, count: number, stops: boolean): Promise<boolean> => {
    server.launch(failingAt(`${point}:${count}`))
    const stopping = stops ? setTimeout(() => server.signal("SIGTERM"), 600 + random.between(...loadMillis)) : undefined
    const ended = await Promise.race([server.ended().then((code) => code === null), sleep(hitMillis).then(() => false)])
    clearTimeout(stopping)
    if (ended) made.deaths++
    await server.kill()
    return ended
  }

  total.restarts.push(await server.start())
  for (const stream of streams) await protocolDoor.create(server.port, stream)
  const clients = [
    ...streams.flatMap((stream, i) => everyKind(at(i), stream, random)),
    comeAndGo(at(1), name, streams, random.fork())
  ]
  const followers = streams.slice(0, 2).map((stream, i) => new Follower(`f${i}`, server.port, stream))
  await sleep(random.between(...loadMillis))
  await server.kill()
  for (const { before, most, point, stops = false, twice = false } of group) {
    let hits = 0
    for (let round = 0; round < rounds || (hits === 0 && round < rounds + furtherTries); round++) {
      if (before !== undefined) await dies(before, random.between(1, 20), stops)
      for (let turn = 0; turn < (twice ? 2 : 1); turn++) {
        if (await dies(point, random.between(1, most), stops)) hits++
        else made.missed++
      }
    }
    if (hits === 0) total.violations.push(`failpoint ${point} was never reached`)
  }
  try {
    total.restarts.push(await server.start())
  } catch (error) {
    total.violations.push(`C13 ${name}: ${String(error)}`)
  }
  await sleep(random.between(...loadMillis))
  over = true
  await Promise.all(clients)
  const found = await readOurs(nativeDoor, server.port, streams, server.directory)
  await total.judge(found, followers, ledger)
  await server.kill()
}

/** Creates streams, appends a little and deletes most of them again. Adds their names to the known names. */
const comeAndGo = async (
  at: Surroundings,
  name: string,
  streams: Array<string>,
  random: Random
): Promise<void> => {
  for (let number = 0; !at.isOver(); number++) {
    const stream = `${name}-passing-${number}`
    streams.push(stream)
    await protocolDoor.create(at.port, stream)
    const turns = random.between(1, 3)
    let turn = 0
    await appender({ ...at, isOver: () => at.isOver() || turn++ >= turns }, stream, "a", random)
    if (at.isOver() || random.chance(0.2)) continue
    const invoke = now()
    const { outcome, status } = await at.door.delete(at.port, stream)
    at.ledger.add({ op: "delete", client: "a", stream, invoke, complete: now(), outcome, status })
    await sleep(random.between(5, 30))
  }
}

/** Padding small enough that many commits are made in a short time; some events are too large for the journal. */
const padding = (random: Random): number => random.between(0, random.chance(0.97) ? 300 : 100_000)
