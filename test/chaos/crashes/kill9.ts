/**
 * `kill -9` under load, again and again (G1, G2): every acknowledged event is there, once, in order, whatever the
 * server was doing. Meanwhile readers read, and clients close and delete streams. In half of the rounds every flush
 * takes three milliseconds longer, so that kills fall between the write, the flush and the answer.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { missing, strace } from "../../support/machine.ts"
import type { Random } from "../../support/random.ts"
import { ServerProcess, type StartOptions } from "../../support/server-process.ts"
import type { Door } from "../clients/doors.ts"
import { nativeDoor, protocolDoor } from "../clients/doors.ts"
import { Follower } from "../clients/follower.ts"
import { brief, everyKind, reader } from "../clients/writers.ts"
import { readFinals, readOurs } from "../harness/finals.ts"
import { Ledger } from "../harness/ledger.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { Total } from "../harness/total.ts"

const streamsAtOnce = 8
const followersAtOnce = 4

/** The logs are checked after this many kills, and grow through all of them. */
const killsTogether = 10

/** The time of a kill after the load begins; a round of the load makes hundreds of commits in this time. */
const killAfter = [50, 400] as const

const slowFlush = strace("/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=3000")

export const kill9: Suite = {
  name: "kill9",
  about: "kill -9 under load: no acknowledged event is lost, no event is there twice",
  rounds: 200,
  run: async (context) => {
    const { options: { spawn }, random, rounds, say } = context
    const slows = spawn === undefined && rounds > killsTogether
    const lacking = missing("strace")
    const server = await ServerProcess.make(context.directory, spawn)
    const total = new Total()
    for (let from = 0; from < rounds; from += killsTogether) {
      const kills = Math.min(killsTogether, rounds - from)
      const slow = slows && lacking === undefined && (from / killsTogether) % 2 === 1
      await killTogether(context, server, random.fork(), `${from}`, kills, slow ? { wrapper: slowFlush } : {}, total)
      say(`${from + kills} kills, ${total.acked} acknowledged, ${total.violations.length} violations`)
      if (total.violations.length > 0) break
    }
    await server.kill()
    const left = slows && lacking !== undefined ? [`flushes were not made longer, which ${lacking}`] : []
    return { ...total.outcome, left }
  }
}

/**
 * Runs some kills in a row, with clients that live through all of them, and then checks all operations against the
 * logs.
 */
const killTogether = async (
  { directory, options: { spawn } }: Context,
  server: ServerProcess,
  random: Random,
  name: string,
  kills: number,
  start: StartOptions,
  total: Total
): Promise<void> => {
  const ledger = new Ledger(Path.join(directory, `ledger-${name}.ndjson`))
  const doors: ReadonlyArray<Door> = spawn === undefined ? [nativeDoor, protocolDoor] : [protocolDoor]
  const streams = Array.from({ length: streamsAtOnce }, (_, i) => `kills-${name}-${i}`)
  const doorOf = (i: number) => doors[i % doors.length]!
  total.restarts.push(await server.start(start))
  for (const stream of streams) await protocolDoor.create(server.port, stream)
  let over = false
  const isOver = () => over
  const clients = streams.flatMap((stream, i) => {
    const at = { port: server.port, door: doorOf(i), ledger, isOver }
    return everyKind(at, stream, random)
  })
  const ours = { port: server.port, door: nativeDoor, ledger, isOver }
  if (spawn === undefined) {
    clients.push(reader(ours, streams[0]!, random.fork()), reader(ours, streams[1]!, random.fork()))
  }
  const followers = spawn === undefined
    ? streams.slice(0, followersAtOnce).map((stream, i) => new Follower(`f${i}`, server.port, stream))
    : []
  for (let round = 0; round < kills; round++) {
    const after = random.between(...killAfter)
    for (const end of spawn === undefined ? ["close", "delete"] as const : []) {
      const stream = `kills-${name}-${end}-${round}`
      streams.push(stream)
      clients.push(brief(ours, stream, random.between(0, after), random.fork(), end))
    }
    await sleep(after)
    await server.kill()
    total.restarts.push(await server.start(start))
  }
  over = true
  await Promise.all(clients)
  const found = spawn === undefined
    ? await readOurs(nativeDoor, server.port, streams, server.directory)
    : await readFinals(protocolDoor, server.port, streams)
  await total.judge(found, followers, ledger)
  await server.kill()
  if (total.violations.length === 0) fs.rmSync(Path.join(directory, `ledger-${name}.ndjson`))
}
