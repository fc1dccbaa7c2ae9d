/**
 * Growth: whether an append costs more if the stream, or the server, already holds a lot. Both are measured in the same
 * rounds as the same append without that data: in the same server for a long stream, in one started the same way for
 * many streams.
 */
import { message } from "./contestants.ts"
import { ratios } from "./figures.ts"
import { fill, makeMany } from "./filling.ts"
import { openLoad } from "./load.ts"
import { atMost, type Row, row } from "./report.ts"
import { type Side, takeTurns } from "./rounds.ts"
import { type ServerProcess, startOurs, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const rounds = 7
/** Long enough for 0.5 s of server CPU. */
const millis = 800
const connections = 64

const million = 1_000_000
const streams = 10_000

export const growth: Workload = {
  name: "growth",
  about:
    `Appends of 100 bytes over ${connections} connections to one stream. First an empty stream and one of a million ` +
    "events in the same server; then an empty server and one that started with 10,000 other streams. The ratio is to " +
    "the empty one.",
  run: () =>
    withServers(async (servers) => {
      const rows: Array<Row> = []
      for (const durability of ["os", "fsync"] as const) {
        const server = await servers.add(startOurs(servers.directory(), [`--durability=${durability}`]))
        await fill(server, "long", million, "in batches")
        rows.push(
          ...await compare(
            `append, ${durability}`,
            ["an empty stream", server, "empty"],
            ["a stream of a million", server, "long"]
          )
        )
        await server.stop()
      }
      const full = servers.directory()
      const maker = await startOurs(full, ["--durability=os"])
      await makeMany(maker, streams)
      await maker.stop()
      const many = await servers.add(startOurs(full, []))
      const none = await servers.add(startOurs(servers.directory(), []))
      rows.push(
        ...await compare("append, fsync", ["no other streams", none, "one"], ["10,000 other streams", many, "one"])
      )
      return rows
    })
}

type Place = readonly [name: string, server: ServerProcess, stream: string]

const compare = async (what: string, empty: Place, full: Place): Promise<ReadonlyArray<Row>> => {
  const places = [empty, full]
  const opened = await Promise.all(places.map(([_, server, stream]) =>
    openLoad({
      port: server.port,
      paths: [`/streams/${stream}`],
      body: `{"data":${message(100)}}`,
      connections
    })
  ))
  const sides = places.map(([_, server], i): Side => ({
    name: "ours",
    server,
    round: () => opened[i]!.run({ millis })
  }))
  const [first, second] = await takeTurns(sides, { rounds })
  for (const { close } of opened) close()
  return [
    row("growth", `${what}, ${empty[0]}`, first!),
    row("growth", `${what}, ${full[0]}`, second!, {
      baseline: first!,
      goals: [atMost("within 10 % of empty", ratios(second!.cpuMicros, first!.cpuMicros).median, 1.1)]
    })
  ]
}
