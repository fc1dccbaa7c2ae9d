/**
 * Catch-up: reads of whole streams, and of their last ten events. The first read checks every event; later reads must
 * return the same bytes. The bare server sends a file of exactly these bytes.
 */
import * as Path from "node:path"
import { catchUpAgainst } from "./catch-up-against.ts"
import { figure } from "./figures.ts"
import { eventBytes, fill, type Written } from "./filling.ts"
import { openLoad } from "./load.ts"
import { read, readChecked } from "./reading.ts"
import { atMost, type Goal, type Row, row } from "./report.ts"
import { type Done, type Measured, type Side, takeTurns } from "./rounds.ts"
import { type ServerProcess, startBare, startOurs, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const million = 1_000_000
const goalMillis = 500
const goalRounds = 5
/** For measurements without a goal. */
const otherMillis = 250
const otherRounds = 3

export const catchUp: Workload = {
  name: "catch-up",
  about:
    `Streams of events of ${eventBytes} bytes. One reader after the other reads them whole, or the last 10 events. An ` +
    "operation is an event (a read, for the last 10). Its time is the time to the first byte of the answer. Memory is " +
    "the highest growth of the server during a read. The bare server sends the same bytes from a file, and answers {} " +
    "for the last 10.",
  run: async ({ against }) => [...await measureAlone(), ...(against ? await catchUpAgainst() : [])]
}

const measureAlone = (): Promise<ReadonlyArray<Row>> =>
  withServers(async (servers) => {
    const bare = await servers.add(startBare())
    const ours = await servers.add(startOurs(servers.directory(), ["--durability=os"]))
    const copies = servers.directory()
    const rows: Array<Row> = []
    for (const events of [10_000, 100_000, million]) {
      for (const written of ["in batches", "singly"] as const) {
        const stream = nameOf(events, written)
        await fill(ours, stream, events, written)
        const asked = events === million && written === "in batches"
        for (const way of asked ? ways : ways.slice(0, 1)) {
          const copy = Path.join(copies, `${stream}-${ways.indexOf(way)}`)
          rows.push(...await whole(bare, ours, events, written, way, copy))
        }
        rows.push(...await lastTen(bare, ours, events, written))
      }
    }
    return rows
  })

const nameOf = (events: number, written: Written) => `${events}-${written.replace(" ", "-")}`

/** The ways to read a stream; the first is the base point. */
const ways = [
  {
    name: "SSE",
    path: (stream: string) => `/streams/${stream}?offset=-1`,
    how: { mark: "\ndata: {\"offset\":\"", numbered: true, endless: true }
  },
  {
    name: "events page",
    path: (stream: string) => `/streams/${stream}/events`,
    how: { mark: "{\"offset\":\"", numbered: true, endless: false }
  },
  {
    name: "protocol",
    path: (stream: string) => `/v1/stream/${stream}?offset=-1`,
    how: { mark: "\"seq\":", numbered: false, endless: false }
  }
]

const whole = async (
  bare: ServerProcess,
  ours: ServerProcess,
  events: number,
  written: Written,
  way: typeof ways[number],
  copy: string
): Promise<ReadonlyArray<Row>> => {
  const path = way.path(nameOf(events, written))
  const bytes = await readChecked(ours.port, path, events, way.how, copy)
  const asked = events === million && written === "in batches" && way.name !== "protocol"
  const millis = asked ? goalMillis : otherMillis
  const peaks = [{ bytes: 0 }, { bytes: 0 }] as const
  const [bareRow, oursRow] = await takeTurns([
    reader("bare", bare, `/file${copy}`, events, bytes, peaks[0], millis),
    reader("ours", ours, path, events, bytes, peaks[1], millis)
  ], { rounds: asked ? goalRounds : otherRounds })
  const what = `catch-up, ${events.toLocaleString("en")} events written ${written}, ${way.name}`
  return [
    row("catch-up", what, bareRow!, { memory: { bytes: peaks[0].bytes, of: "growth" } }),
    row("catch-up", what, oursRow!, {
      baseline: bareRow!,
      memory: { bytes: peaks[1].bytes, of: "growth" },
      goals: [
        ...(asked ? perEvent(oursRow!) : []),
        atMost("memory grows by less than 16 MB", peaks[1].bytes / 1e6, 16)
      ]
    })
  ]
}

const perEvent = (measured: Measured): ReadonlyArray<Goal> => [
  atMost("at most 0.15 µs of CPU an event", figure(measured.cpuMicros).median, 0.15),
  atMost("first byte within 10 ms", figure(measured.p50).median, 10)
]

/** Reads the same path again and again for a round, and watches the server's memory meanwhile. */
const reader = (
  name: string,
  server: ServerProcess,
  path: string,
  events: number,
  bytes: number,
  peak: { bytes: number },
  roundMillis: number
): Side => {
  let warm = false
  return {
    name,
    server,
    round: async (): Promise<Done> => {
      const firstBytes: Array<number> = []
      const before = server.memory()
      const look = () => peak.bytes = Math.max(peak.bytes, server.memory() - before)
      // A read of a million events takes hundreds of milliseconds.
      const watch = setInterval(look, 20)
      const from = performance.now()
      try {
        while (performance.now() - from < roundMillis) {
          const got = await read(server.port, path, bytes)
          if (got.bytes !== bytes) throw new Error(`${path} sent ${got.bytes} bytes, and not ${bytes}.`)
          firstBytes.push(got.firstByteMillis)
        }
        look()
      } finally {
        clearInterval(watch)
      }
      const millis = performance.now() - from
      // The first round is the warm-up.
      if (!warm) peak.bytes = 0
      warm = true
      return { operations: firstBytes.length * events, latencies: Float64Array.from(firstBytes), millis }
    }
  }
}

const lastTen = async (
  bare: ServerProcess,
  ours: ServerProcess,
  events: number,
  written: Written
): Promise<ReadonlyArray<Row>> => {
  const path = `/streams/${nameOf(events, written)}/events?tail=10`
  const answer = await (await fetch(`http://127.0.0.1:${ours.port}${path}`)).json() as {
    readonly events: ReadonlyArray<{ readonly offset: string }>
  }
  const offsets = answer.events.map(({ offset }) => Number(offset))
  if (offsets.length !== 10 || offsets.some((offset, i) => offset !== events - 10 + i)) {
    throw new Error(`The last ten of ${events} were ${offsets.join(", ")}.`)
  }
  const loads = [
    await openLoad({ port: bare.port, paths: ["/health"], connections: 1 }),
    await openLoad({ port: ours.port, paths: [path], connections: 1 })
  ] as const
  const asked = events === million
  const [bareRow, oursRow] = await takeTurns([
    { name: "bare", server: bare, round: () => loads[0].run({ millis: otherMillis }) },
    { name: "ours", server: ours, round: () => loads[1].run({ millis: otherMillis }) }
  ], { rounds: otherRounds })
  for (const { close } of loads) close()
  const what = `last 10 of ${events.toLocaleString("en")} events written ${written}`
  return [
    ...(asked ? [row("catch-up", what, bareRow!)] : []),
    row("catch-up", what, oursRow!, {
      baseline: bareRow!,
      goals: asked ? [atMost("p50 under 1 ms", figure(oursRow!.p50).median, 1)] : []
    })
  ]
}
