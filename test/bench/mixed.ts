/**
 * Everything at once: appends at a fixed rate, flushed, while 500 followers receive each of them and 10 readers catch
 * up with another stream again and again. The measurement shows the effect of the three loads on each other.
 */
import * as Path from "node:path"
import { type Audience, bareDoor, nativeDoor, openAudience } from "./audience.ts"
import { fill } from "./filling.ts"
import { read, readChecked } from "./reading.ts"
import { latencyOf, type Row, row } from "./report.ts"
import { type Side, takeTurns } from "./rounds.ts"
import { type ServerProcess, startBare, startOurs, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const rounds = 5
const millis = 2_000
const followers = 500
const appendsPerSecond = 100
const readers = 10
const events = 100_000

/** Each reader begins a read at this interval: together a million events a second. */
const readEveryMillis = 1_000

export const mixed: Workload = {
  name: "mixed",
  about:
    `${appendsPerSecond} appends a second with fsync to a stream that ${followers} follow, while ${readers} readers read ` +
    `another stream of ${
      events.toLocaleString("en")
    } events whole, each once a second. The CPU is the total of all three loads, ` +
    "for each delivery. The bare server sends the same bytes to each client, and to the readers from a file.",
  run: () =>
    withServers(async (servers) => {
      const bare = await servers.add(startBare())
      const ours = await servers.add(startOurs(servers.directory(), ["--durability=fsync"]))
      await fill(ours, "long", events, "in batches")
      const copy = Path.join(servers.directory(), "copy")
      const path = "/streams/long?offset=-1"
      const bytes = await readChecked(ours.port, path, events, {
        mark: "\ndata: {\"offset\":\"",
        numbered: true,
        endless: true
      }, copy)
      const both = [
        mix(bare, `/file${copy}`, bytes, await openAudience(bare, bareDoor, ["mixed"], followers)),
        mix(ours, path, bytes, await openAudience(ours, nativeDoor, ["mixed"], followers))
      ] as const
      const measured = await takeTurns(both.map(({ side }) => side), { rounds })
      for (const { audience } of both) audience.leave()
      return both.flatMap(({ answers, reads }, i): ReadonlyArray<Row> => {
        const each = measured[i]!
        const server = each.name
        return [
          row("mixed", `mixed, deliveries to ${followers} followers`, each, { baseline: measured[0]! }),
          { work: "mixed", what: "mixed, appends", server, latency: latencyOf(answers.slice(1)), goals: [] },
          {
            work: "mixed",
            what: "mixed, reads of a whole stream",
            server,
            latency: latencyOf(reads.slice(1)),
            goals: []
          }
        ]
      })
    })
}

/** Runs the round with the times of its appends and reads; the first of each belongs to the warm-up. */
const mix = (server: ServerProcess, path: string, bytes: number, audience: Audience) => {
  const answers: Array<Float64Array> = []
  const reads: Array<Float64Array> = []
  const deliveries = audience.side(millis, appendsPerSecond)
  const side: Side = {
    ...deliveries,
    round: async () => {
      const took: Array<number> = []
      const [done] = await Promise.all([
        deliveries.round(),
        ...Array.from({ length: readers }, async (_, i) => {
          const start = performance.now()
          for (let at = i / readers * readEveryMillis; at < millis; at += readEveryMillis) {
            const wait = Math.max(0, start + at - performance.now())
            await new Promise((resolve) => setTimeout(resolve, wait))
            const from = performance.now()
            const got = await read(server.port, path, bytes)
            if (got.bytes !== bytes) throw new Error(`${path} sent ${got.bytes} bytes, and not ${bytes}.`)
            took.push(performance.now() - from)
          }
        })
      ])
      answers.push(audience.takeAnswers())
      reads.push(Float64Array.from(took))
      return done
    }
  }
  return { side, answers, reads, audience }
}
