/**
 * Ten seconds of every measurement in small, for every change: a check that the bench runs, and that no event is lost,
 * duplicated or out of order. Its times mean nothing and have no goals.
 */
import * as Path from "node:path"
import { bareDoor, nativeDoor, openAudience, pollsDoor, protocolDoor } from "./audience.ts"
import { message } from "./contestants.ts"
import { fill } from "./filling.ts"
import { openLoad } from "./load.ts"
import { readChecked } from "./reading.ts"
import { type Row, row } from "./report.ts"
import { type Side, takeTurns } from "./rounds.ts"
import { type ServerProcess, startBare, startOurs, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const requests = 200
const rounds = 1
/** The number of counted appends: those of the rounds and of the warm-up before them. */
const appended = requests * (rounds + 1)
const followers = 50
const eventsPerSecond = 100
const millis = 300
const events = 5_000

export const smoke: Workload = {
  name: "smoke",
  about: `${requests} appends, ${followers} followers and a whole read of ${events} events, all of them counted.`,
  run: () =>
    withServers(async (servers) => {
      const bare = await servers.add(startBare())
      const fsync = await servers.add(startOurs(servers.directory(), ["--durability=fsync"]))
      const memory = await servers.add(startOurs(servers.directory(), ["--storage=memory"]))
      return [
        ...await appends(bare, memory, fsync, servers.directory()),
        ...await deliveries(bare, fsync),
        await catchUp(fsync, servers.directory())
      ]
    })
}

const appends = async (bare: ServerProcess, memory: ServerProcess, fsync: ServerProcess, directory: string) => {
  const body = `{"data":${message(100)}}`
  const open = async (name: string, server: ServerProcess, path: string) => {
    const load = await openLoad({ port: server.port, paths: [path], body, connections: 8 })
    return { close: load.close, side: { name, server, round: () => load.run({ requests }) } }
  }
  const opened = [
    await open("bare", bare, "/echo"),
    await open("ours, memory", memory, "/streams/appended"),
    await open("ours, fsync", fsync, "/streams/appended")
  ]
  const measured = await takeTurns(opened.map(({ side }) => side), { rounds })
  for (const { close } of opened) close()
  for (const server of [memory, fsync]) await checkCount(server, "appended", appended, directory)
  return measured.map((each) => row("smoke", "append", each))
}

const deliveries = async (bare: ServerProcess, fsync: ServerProcess): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const [i, door] of [bareDoor, nativeDoor, protocolDoor, pollsDoor].entries()) {
    const server = door === bareDoor ? bare : fsync
    const stream = `followed-${i}`
    const audience = await openAudience(server, door, [stream], followers)
    const sides: ReadonlyArray<Side> = [audience.side(millis, eventsPerSecond), audience.side(millis)]
    const measured = await takeTurns(sides, { rounds })
    audience.leave()
    rows.push(
      row("smoke", `fan-out, ${followers} followers, ${eventsPerSecond}/s`, measured[0]!),
      row("smoke", `fan-out, ${followers} followers, flat out`, measured[1]!)
    )
  }
  return rows
}

const catchUp = async (server: ServerProcess, directory: string): Promise<Row> => {
  await fill(server, "long", events, "in batches")
  const from = performance.now()
  await checkCount(server, "long", events, directory)
  const took = performance.now() - from
  return {
    work: "smoke",
    what: `catch-up, ${events} events`,
    server: "ours, fsync",
    millis: { median: took, min: took, max: took },
    goals: []
  }
}

/**
 * Reads the stream by its page and by Server-Sent Events, and checks the number of events and that their offsets have
 * no gap.
 */
const checkCount = async (server: ServerProcess, stream: string, count: number, directory: string): Promise<void> => {
  const copy = Path.join(directory, "copy")
  const frame = { mark: "\ndata: {\"offset\":\"", numbered: true, endless: true }
  const entry = { mark: "{\"offset\":\"", numbered: true, endless: false }
  await readChecked(server.port, `/streams/${stream}/events`, count, entry, copy)
  await readChecked(server.port, `/streams/${stream}?offset=-1`, count, frame, copy)
}
