/**
 * The restart after `kill -9`, during appends to a stream of a million events, and with ten thousand streams: the time
 * from the start of the process to its first answer, and to a reader's last event. Every event acknowledged before must
 * be there.
 */
import { fillByProtocol } from "./catch-up-against.ts"
import { message, streamPath } from "./contestants.ts"
import { type Figure, figure } from "./figures.ts"
import { fill, makeMany } from "./filling.ts"
import { openLoad } from "./load.ts"
import { atMost, type Goal, type Row } from "./report.ts"
import { type ServerProcess, startBare, startOurs, startReference, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const rounds = 7
const million = 1_000_000
const streams = 10_000

/** The duration of the appends before the server is killed. */
const appendMillis = 200

export const restart: Workload = {
  name: "restart",
  about:
    `A server starts, takes appends for ${appendMillis} ms over 16 connections and is killed (kill -9); ${rounds} ` +
    "rounds, in turns with a bare server. The times are from the next start of the process to its first answer, and to " +
    "the answer with the last event. The files are in the kernel's cache, as they are after a crash of the process.",
  run: ({ against }) =>
    withServers(async (servers) => {
      const long = servers.directory()
      await prepare(long, (server) => fill(server, "killed", million, "in batches"))
      const many = servers.directory()
      await prepare(many, async (server) => {
        await makeMany(server, streams)
        await fill(server, "killed", 100, "in batches")
      })
      const bare: Array<number> = []
      const longs: Array<Started> = []
      const manies: Array<Started> = []
      const empties: Array<Started> = []
      for (let round = -1; round < rounds; round++) {
        const one = await bareStart()
        const each = [
          await killAndRestart(long),
          await killAndRestart(many),
          await killAndRestart(servers.directory())
        ] as const
        // The first round fills caches of files and code, which are full on any day but the first.
        if (round < 0) continue
        bare.push(one)
        longs.push(each[0])
        manies.push(each[1])
        empties.push(each[2])
      }
      return [
        startRow("start", "bare", figure(bare)),
        ...rowsOf("nearly nothing", empties, bare, false),
        ...rowsOf("a stream of a million events", longs, bare, true),
        ...rowsOf("10,000 streams", manies, bare, true),
        ...(against ? await reference(servers.directory()) : [])
      ]
    })
}

interface Started {
  readonly answer: number
  readonly lastEvent: number
  readonly memory: number
}

const prepare = async (directory: string, fill: (server: ServerProcess) => Promise<unknown>): Promise<void> => {
  const server = await startOurs(directory, ["--durability=os"])
  await fill(server)
  await server.stop()
}

const bareStart = async (): Promise<number> => {
  const from = performance.now()
  const server = await startBare()
  await get(server, "/health")
  const millis = performance.now() - from
  await server.stop()
  return millis
}

/** Starts, appends, kills and starts again in the directory. */
const killAndRestart = async (directory: string): Promise<Started> => {
  const before = await startOurs(directory, [])
  const known = await tail(before)
  const load = await openLoad({
    port: before.port,
    paths: ["/streams/killed"],
    body: `{"data":${message(100)}}`,
    connections: 16
  })
  const { operations } = await load.run({ millis: appendMillis })
  // Appends are on their way when the server is killed, so it is expected that some get no answer.
  const cut = load.run({ millis: appendMillis }).catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, appendMillis / 4))
  await before.kill()
  await cut
  load.close()

  const from = performance.now()
  const server = await startOurs(directory, [])
  await get(server, "/health")
  const answer = performance.now() - from
  const last = await tail(server)
  const lastEvent = performance.now() - from
  const memory = server.memory()
  await server.stop()
  if (last < known + operations) {
    throw new Error(`${known + operations} events were acknowledged before the kill, and ${last} are there.`)
  }
  return { answer, lastEvent, memory }
}

/** The reference server on files, killed with a stream of as many messages. */
const reference = async (directory: string): Promise<ReadonlyArray<Row>> => {
  const server = await startReference(directory)
  await fillByProtocol(server, "killed", million)
  await server.kill()
  const millis: Array<number> = []
  const memory: Array<number> = []
  for (let round = -1; round < 3; round++) {
    const from = performance.now()
    const again = await startReference(directory)
    const answer = await fetch(`http://127.0.0.1:${again.port}${streamPath("killed")}`, { method: "HEAD" })
    if (round >= 0) {
      millis.push(performance.now() - from)
      memory.push(again.memory())
    }
    await again.kill()
    if (!answer.ok) throw new Error(`The reference server answered ${answer.status}.`)
  }
  const what = "restart after kill -9, a stream of a million events, first answer"
  return [startRow(what, "reference, files", figure(millis), { memory: figure(memory).median })]
}

/** Returns the number of events in the stream, by its last one. */
const tail = async (server: ServerProcess): Promise<number> => {
  const answer = await fetch(`http://127.0.0.1:${server.port}/streams/killed/events?tail=1`)
  if (answer.status === 404) return 0
  const { events } = await answer.json() as { readonly events: ReadonlyArray<{ readonly offset: string }> }
  return Number(events[0]!.offset) + 1
}

const get = async ({ port }: ServerProcess, path: string): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`)
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}.`)
}

const rowsOf = (
  what: string,
  started: ReadonlyArray<Started>,
  bare: ReadonlyArray<number>,
  asked: boolean
): ReadonlyArray<Row> => {
  const more = figure(started.map(({ answer }, i) => answer - bare[i]!))
  const goal = atMost("first answer within 100 ms of a bare server's, in ms", more.median, 100)
  const memory = figure(started.map(({ memory }) => memory)).median
  return [
    startRow(`restart after kill -9, ${what}, first answer`, "ours", figure(started.map(({ answer }) => answer)), {
      goals: asked ? [goal] : [],
      memory
    }),
    startRow(
      `restart after kill -9, ${what}, its last event`,
      "ours",
      figure(started.map(({ lastEvent }) => lastEvent)),
      { memory }
    )
  ]
}

const startRow = (
  what: string,
  server: string,
  millis: Figure,
  { goals = [], memory }: { readonly goals?: ReadonlyArray<Goal>; readonly memory?: number } = {}
): Row => ({
  work: "restart",
  what,
  server,
  millis,
  ...(memory === undefined ? {} : { memory: { bytes: memory, of: "whole" } }),
  goals
})
